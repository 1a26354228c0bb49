//! The keys of `[tdx]`.

use super::{Key, Sense, key};

pub(super) const KEYS: &[Key] = &[
    key("tdx.images", "images, by MRTD and RTMRs", Sense::Accepts),
    key("tdx.roots", "Intel's roots, by digest", Sense::Accepts),
    key(
        "tdx.simulator_roots",
        "roots of simulated platforms",
        Sense::Accepts,
    ),
    key("tdx.quote_versions", "quote versions", Sense::Accepts),
    key(
        "tdx.event_log.required",
        "events that must be in the log",
        Sense::Requires,
    ),
    key(
        "tdx.event_log.allowed",
        "events that may be in the log",
        Sense::Accepts,
    ),
    key(
        "tdx.event_log.free_registers",
        "registers that may hold any events",
        Sense::Accepts,
    ),
    key("tdx.guest.modules", "TDX modules (MRSEAM)", Sense::Accepts),
    key(
        "tdx.guest.attributes",
        "switches that guests may have on",
        Sense::Accepts,
    ),
    key(
        "tdx.guest.processor_states",
        "processor state that guests may use",
        Sense::Accepts,
    ),
    key("tdx.guest.config_ids", "MRCONFIGID", Sense::Accepts),
    key("tdx.guest.owners", "MROWNER", Sense::Accepts),
    key("tdx.guest.owner_configs", "MROWNERCONFIG", Sense::Accepts),
    key(
        "tdx.tcb.statuses",
        "Intel's word on a platform may be",
        Sense::Accepts,
    ),
    key(
        "tdx.tcb.accepted_advisories",
        "advisories that may apply",
        Sense::Accepts,
    ),
    key(
        "tdx.tcb.denied_advisories",
        "advisories refused",
        Sense::Denies,
    ),
    key(
        "tdx.tcb.min_evaluation",
        "edition of Intel's data at least",
        Sense::Floor,
    ),
    key(
        "tdx.tcb.platform_grace_days",
        "days that an out-of-date platform is accepted, at most",
        Sense::Ceiling,
    ),
    key(
        "tdx.tcb.qe_grace_days",
        "days that an out-of-date quoting enclave is accepted, at most",
        Sense::Ceiling,
    ),
    key(
        "tdx.platform.allow_smt",
        "threads of one core",
        Sense::Allows("platforms may run two", "platforms must run one"),
    ),
    key(
        "tdx.platform.allow_dynamic",
        "platforms that others can join",
        Sense::Allows("accepted", "refused"),
    ),
    key(
        "tdx.platform.allow_cached_keys",
        "platforms whose keys Intel keeps",
        Sense::Allows("accepted", "refused"),
    ),
    key("tdx.platform.memory", "memory protection", Sense::Accepts),
    key("tdx.platform.ids", "platforms, by id", Sense::Accepts),
    key(
        "tdx.platform.denied_ids",
        "platforms refused, by id",
        Sense::Denies,
    ),
    key(
        "tdx.platform.fmspcs",
        "platform models (FMSPC)",
        Sense::Accepts,
    ),
    key(
        "tdx.platform.denied_fmspcs",
        "platform models refused (FMSPC)",
        Sense::Denies,
    ),
];
