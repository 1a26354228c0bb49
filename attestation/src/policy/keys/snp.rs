//! The keys of `[snp]`.

use super::{Key, Sense, key};

pub(super) const KEYS: &[Key] = &[
    key("snp.measurements", "launch digests", Sense::Accepts),
    key("snp.roots", "AMD's roots, by digest", Sense::Accepts),
    key(
        "snp.simulator_roots",
        "roots of simulated platforms",
        Sense::Accepts,
    ),
    key(
        "snp.require_crl",
        "revocation",
        Sense::Demands(
            "a current revocation list must show that no key was revoked",
            "accepted without a revocation list, with a warning",
        ),
    ),
    key(
        "snp.signing_keys",
        "kinds of keys that may sign",
        Sense::Accepts,
    ),
    key("snp.csp_ids", "clouds whose VLEKs may sign", Sense::Accepts),
    key("snp.generations", "processor generations", Sense::Accepts),
    key("snp.report_versions", "report versions", Sense::Accepts),
    key("snp.vmpls", "privilege levels that may ask", Sense::Accepts),
    key("snp.host_data", "data given by the host", Sense::Accepts),
    key("snp.family_ids", "family ids", Sense::Accepts),
    key("snp.image_ids", "image ids", Sense::Accepts),
    key(
        "snp.min_guest_svn",
        "the guest's security version at least",
        Sense::Floor,
    ),
    key(
        "snp.id_keys",
        "keys that sign the launch, by digest",
        Sense::Accepts,
    ),
    key(
        "snp.author_keys",
        "keys that sign those keys, by digest",
        Sense::Accepts,
    ),
    key(
        "snp.guest_policy.min_abi_major",
        "firmware API that the guest insists on, major at least",
        Sense::Floor,
    ),
    key(
        "snp.guest_policy.min_abi_minor",
        "firmware API that the guest insists on, minor at least",
        Sense::Floor,
    ),
    key(
        "snp.guest_policy.allow_smt",
        "threads of one core",
        Sense::Allows(
            "guests may allow two threads per core",
            "guests must insist on one thread per core",
        ),
    ),
    key(
        "snp.guest_policy.allow_cxl",
        "CXL devices",
        Sense::Allows("guests may allow them", "guests must forbid them"),
    ),
    key(
        "snp.guest_policy.require_single_socket",
        "one socket",
        Sense::Demands("guests must insist on it", "not asked for"),
    ),
    key(
        "snp.guest_policy.require_aes_256_xts",
        "memory encryption with AES-256-XTS",
        Sense::Demands("guests must insist on it", "not asked for"),
    ),
    key(
        "snp.guest_policy.require_rapl_disabled",
        "power readings off (guest)",
        Sense::Demands("guests must insist on it", "not asked for"),
    ),
    key(
        "snp.guest_policy.require_ciphertext_hiding",
        "guests must insist on hidden ciphertext on",
        Sense::Requires,
    ),
    key(
        "snp.guest_policy.require_page_swap_disabled",
        "page swap by the host off",
        Sense::Demands("guests must insist on it", "not asked for"),
    ),
    key("snp.platform.chips", "chips", Sense::Accepts),
    key("snp.platform.denied_chips", "chips refused", Sense::Denies),
    key(
        "snp.platform.allow_provisional_firmware",
        "firmware that runs but is not committed",
        Sense::Allows(
            "accepted with a warning: the host can still go back",
            "refused",
        ),
    ),
    key(
        "snp.platform.require_alias_check",
        "memory aliases checked at boot (BadRAM)",
        Sense::Demands("must be", "not asked for"),
    ),
    key(
        "snp.platform.require_ecc",
        "memory with error correction",
        Sense::Demands("must be", "not asked for"),
    ),
    key(
        "snp.platform.require_tsme",
        "all memory encrypted (TSME)",
        Sense::Demands("must be", "not asked for"),
    ),
    key(
        "snp.platform.require_rapl_disabled",
        "power readings off (platform)",
        Sense::Demands("must be", "not asked for"),
    ),
    key(
        "snp.platform.require_ciphertext_hiding",
        "platforms must hide ciphertext on",
        Sense::Requires,
    ),
    key(
        "snp.platform.allow_tio",
        "devices inside the trust boundary (TIO)",
        Sense::Allows("accepted", "refused"),
    ),
    key(
        "snp.tcb_floors.*.fmc",
        "firmware mediation component (FMC) at least",
        Sense::Floor,
    ),
    key(
        "snp.tcb_floors.*.bootloader",
        "bootloader at least",
        Sense::Floor,
    ),
    key("snp.tcb_floors.*.tee", "trusted OS at least", Sense::Floor),
    key(
        "snp.tcb_floors.*.snp",
        "SNP firmware at least",
        Sense::Floor,
    ),
    key(
        "snp.tcb_floors.*.microcode",
        "microcode at least",
        Sense::Floor,
    ),
    key(
        "snp.tcb_floors.*.firmware",
        "firmware build at least",
        Sense::Floor,
    ),
    key(
        "snp.tcb_floors.*.launch_mitigations",
        "mitigations at launch, bits",
        Sense::Requires,
    ),
    key(
        "snp.tcb_floors.*.current_mitigations",
        "mitigations now, bits",
        Sense::Requires,
    ),
];
