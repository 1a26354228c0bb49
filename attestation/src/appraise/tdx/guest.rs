//! What the guest is: its switches, its registers, the TDX module under it.

use aws_lc_rs::digest;

use crate::check::Checks;
use crate::evidence::Evidence;
use crate::measurement::Measurement;
use crate::policy::{ConfigId, GuestPolicy};
use crate::reason::Reason;
use crate::tdx::TdBody;
use crate::tdx::attributes::{Attributes, Xfam};

const ZERO: Measurement = Measurement::from_bytes([0; 48]);

pub(super) fn judge(checks: &mut Checks, body: &TdBody, evidence: &Evidence, policy: &GuestPolicy) {
    switches(checks, body.attributes);
    let attributes = policy.attributes.iter();
    let allowed = attributes.fold(JUDGED, |bits, one| bits | one.bits());
    within(checks, "guest.attributes", body.attributes.0, allowed);
    let states = policy.states.iter();
    let allowed = states.fold(Xfam::ALWAYS, |bits, one| bits | one.bits());
    within(checks, "guest.xfam", body.xfam.0, allowed);
    checks.check(
        "guest.xfam_always",
        Reason::PolicyBit,
        body.xfam.0 & Xfam::ALWAYS == Xfam::ALWAYS,
        "x87 and SSE",
        format_args!("{:#x}", body.xfam.0),
    );
    module(checks, body, policy);
    chosen_by_host(checks, body, evidence, policy);
}

/// Attributes that [`switches`] looks at, one by one.
const JUDGED: u64 = Attributes::DEBUG
    | Attributes::PROFILING
    | Attributes::SERVICE_TD
    | Attributes::SEPT_VE_DISABLE
    | Attributes::MIGRATABLE;

/// What no policy can allow.
fn switches(checks: &mut Checks, attributes: Attributes) {
    let off = [
        ("guest.debug", Reason::Debug, Attributes::DEBUG),
        ("guest.profiling", Reason::Debug, Attributes::PROFILING),
        ("guest.migratable", Reason::Migrate, Attributes::MIGRATABLE),
        (
            "guest.service_td",
            Reason::PolicyBit,
            Attributes::SERVICE_TD,
        ),
    ];
    for (name, reason, bits) in off {
        let is_off = attributes.0 & bits == 0;
        checks.check(
            name,
            reason,
            is_off,
            "off",
            if is_off { "off" } else { "on" },
        );
    }
    let is_on = attributes.0 & Attributes::SEPT_VE_DISABLE != 0;
    checks.check(
        "guest.sept_ve_disable",
        Reason::PolicyBit,
        is_on,
        "on",
        if is_on { "on" } else { "off" },
    );
}

fn within(checks: &mut Checks, name: &'static str, bits: u64, allowed: u64) {
    checks.check(
        name,
        Reason::PolicyBit,
        bits & !allowed == 0,
        format_args!("no bits but {allowed:#x}"),
        format_args!("{bits:#x}"),
    );
}

fn module(checks: &mut Checks, body: &TdBody, policy: &GuestPolicy) {
    checks.check(
        "guest.module",
        Reason::Measurement,
        policy.modules.takes(&body.mr_seam),
        "a module that the policy lists",
        body.mr_seam,
    );
    let mut zero = |name, got: Measurement| {
        let pass = got.is_one_of([ZERO].iter());
        checks.check(name, Reason::Measurement, pass, ZERO, got);
    };
    zero("guest.module_signer", body.mr_signer_seam);
    let Some(td15) = &body.td15 else { return };
    zero("guest.service_guests", td15.mr_service_td);
    let Some(ex) = &td15.ex else { return };
    zero("guest.first_service_guests", ex.init_service_td);
    zero("guest.current_service_guests", ex.cur_service_td);
    zero("guest.devices", ex.dev_info);
    // As with SNP's privilege levels: the guest itself must have asked.
    checks.check("guest.partition", Reason::Vmpl, ex.vmid == 0, 0, ex.vmid);
}

fn chosen_by_host(checks: &mut Checks, body: &TdBody, evidence: &Evidence, policy: &GuestPolicy) {
    let config = || {
        let mut bytes = [0; Measurement::LEN];
        let digest = digest::digest(&digest::SHA384, &evidence.config);
        bytes.copy_from_slice(digest.as_ref());
        Measurement::from_bytes(bytes)
    };
    let ids = policy.config_ids.as_slice().iter().map(|id| match id {
        ConfigId::Is(value) => *value,
        ConfigId::Config => config(),
    });
    let mut check = |name, accepted: &[Measurement], got: Measurement| {
        let pass = got.is_one_of(accepted.iter());
        let expected = format!("one of {} in the policy", accepted.len());
        checks.check(name, Reason::Measurement, pass, expected, got);
    };
    check(
        "guest.config_id",
        &ids.collect::<Vec<_>>(),
        body.mr_config_id,
    );
    check("guest.owner", policy.owners.as_slice(), body.mr_owner);
    check(
        "guest.owner_config",
        policy.owner_configs.as_slice(),
        body.mr_owner_config,
    );
}
