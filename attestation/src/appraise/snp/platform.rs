//! Which machine it is, and how it is set up.

use super::bits::{Bit, required_on};
use crate::check::Checks;
use crate::policy::{Allowed, SnpPolicy};
use crate::reason::Reason;
use crate::snp::vek::VekClaims;
use crate::snp::{Generation, Report};

/// Bits of `PLATFORM_INFO` (SEV-SNP Firmware ABI). Those not named here have no meaning to us, and
/// real platforms set some.
const SMT: u32 = 0;
const TSME: u32 = 1;
const ECC: u32 = 2;
const RAPL_DISABLED: u32 = 3;
const CIPHERTEXT_HIDING: u32 = 4;
const ALIAS_CHECK: u32 = 5;
const TIO: u32 = 7;
/// The bit of a guest's policy that lets it run where SMT is on.
const GUEST_SMT: u32 = 16;

/// A cloud's key needs a cloud that the policy lists.
pub(super) fn cloud(checks: &mut Checks, claims: Option<&VekClaims>, policy: &SnpPolicy) {
    if let Some(name) = claims.and_then(VekClaims::csp_id) {
        checks.check(
            "platform.cloud",
            Reason::Platform,
            policy.csp_ids.iter().any(|listed| listed == name),
            format_args!("one of {:?}", policy.csp_ids),
            name,
        );
    }
}

pub(super) fn judge(
    checks: &mut Checks,
    report: &Report,
    generation: Option<Generation>,
    policy: &SnpPolicy,
) {
    chips(checks, report, policy);
    paravisor(checks, report);
    let want = &policy.platform;
    // Firmware does not start a guest that forbids SMT where it is on; the report shows it again.
    let smt = policy.guest.allow_smt && report.policy.bit(GUEST_SMT);
    let hiding = required_on(&want.require_ciphertext_hiding, generation);
    for bit in [
        Bit::clear("platform.smt", SMT, smt, "one thread per core"),
        Bit::set(
            "platform.tsme",
            TSME,
            want.require_tsme,
            "all memory encrypted",
        ),
        Bit::set("platform.ecc", ECC, want.require_ecc, "memory with ECC"),
        Bit::set(
            "platform.rapl_disabled",
            RAPL_DISABLED,
            want.require_rapl_disabled,
            "no power readings",
        ),
        Bit::set(
            "platform.ciphertext_hiding",
            CIPHERTEXT_HIDING,
            hiding,
            "hidden ciphertext",
        ),
        Bit::set(
            "platform.alias_check",
            ALIAS_CHECK,
            want.require_alias_check,
            "no two addresses for one place in memory",
        ),
        Bit::clear(
            "platform.tio",
            TIO,
            want.allow_tio,
            "no devices inside the trust boundary",
        ),
    ] {
        bit.judge(checks, Reason::Platform, report.platform_info);
    }
}

fn chips(checks: &mut Checks, report: &Report, policy: &SnpPolicy) {
    let chip = hex::encode(report.chip_id);
    let expected = match &policy.platform.chips {
        Allowed::Any => "any chip".to_owned(),
        Allowed::Among(listed) => {
            format!("one of {} in the policy", listed.as_slice().len())
        }
    };
    checks.check(
        "platform.chip_allowed",
        Reason::Platform,
        policy.platform.chips.takes(&report.chip_id),
        expected,
        &chip,
    );
    checks.check(
        "platform.chip_denied",
        Reason::Platform,
        // A cloud's key can hide which chip it is: then it may be any of those that are denied.
        !policy.platform.denied_chips.contains(&report.chip_id)
            && (policy.platform.denied_chips.is_empty() || report.chip_id != [0; 64]),
        "a chip that the policy does not deny",
        &chip,
    );
}

/// Where a paravisor runs below the guest, the launch is the cloud's: it comes with a signed id
/// block, and the report binds the paravisor's SHA-256, not a guest's SHA-512. Some look otherwise;
/// they fail at the binding.
fn paravisor(checks: &mut Checks, report: &Report) {
    let (data, rest) = report.report_data.split_at(32);
    let short = rest.iter().all(|byte| *byte == 0) && data.iter().any(|byte| *byte != 0);
    let signed_launch = report.id_key_digest != [0; 48] && report.image_id != [0; 16];
    let paravisor = short && signed_launch && report.host_data == [0; 32];
    checks.check(
        "platform.paravisor",
        Reason::PlatformParavisor,
        !paravisor,
        "a guest that speaks for itself",
        if paravisor {
            "a signed launch whose report binds 32 bytes"
        } else {
            "a guest that speaks for itself"
        },
    );
}
