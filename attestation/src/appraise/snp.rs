//! SEV-SNP: what the hardware signed, by whom, for which guest.

mod chain;
mod platform;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

use super::accepted::{Platform, SnpPlatform};
use super::{Hardware, Inputs};
use crate::check::Checks;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::{Root, SnpPolicy};
use crate::reason::{Reason, Warning};
use crate::snp::Report;
use crate::snp::report::{ECDSA_P384_SHA384, GuestPolicy, ParsedReport, REPORT_LEN, SigningKey};
use chain::Chain;

/// Judges an SNP report and everything behind it. `endorsements` are the appraiser's own, and for
/// what it lacks, those that came with the evidence.
pub(super) fn judge(
    checks: &mut Checks,
    evidence: &Evidence,
    endorsements: &Endorsements,
    policy: &SnpPolicy,
    inputs: &Inputs<'_>,
) -> Hardware {
    let mut hardware = Hardware::default();
    let platform = judge_parts(
        checks,
        evidence,
        endorsements,
        policy,
        inputs,
        &mut hardware,
    );
    hardware.platform = platform;
    hardware
}

fn judge_parts(
    checks: &mut Checks,
    evidence: &Evidence,
    endorsements: &Endorsements,
    policy: &SnpPolicy,
    inputs: &Inputs<'_>,
    hardware: &mut Hardware,
) -> Option<Platform> {
    let parsed = checks.step(
        "report.size",
        Reason::Format,
        ParsedReport::parse(&evidence.report),
        format_args!("{REPORT_LEN} bytes"),
    );
    let chain = chain::judge(checks, endorsements, policy, inputs.now);
    hardware.sim = chain.root.is_some_and(Root::is_sim);
    if hardware.sim {
        hardware.warnings.push(Warning::Simulated);
    }
    let parsed = parsed?;
    hardware.report_data = Some(parsed.report.report_data);
    layout(checks, &parsed, policy);
    signature(checks, &parsed, &chain);
    guest(checks, &parsed.report, policy, inputs);
    guest_policy(checks, parsed.report.policy, policy);
    let (generation, reported_tcb) = platform::judge(checks, &parsed.report, &chain, policy)?;
    // Whatever is missing of the chain has failed a check above; here it is the types that insist.
    chain.root?;
    chain.key?;
    chain.claims?;
    hardware.body_digest = Some(parsed.body_digest);
    hardware.valid_until = chain.not_after;
    Some(Platform::Snp(SnpPlatform {
        report: parsed.report,
        generation,
        reported_tcb,
    }))
}

fn layout(checks: &mut Checks, parsed: &ParsedReport<'_>, policy: &SnpPolicy) {
    let report = &parsed.report;
    checks.check(
        "report.version",
        Reason::Version,
        policy.report_versions.contains(&report.version),
        format_args!("one of {:?}", policy.report_versions.as_slice()),
        report.version,
    );
    checks.check(
        "report.reserved",
        Reason::Format,
        parsed.reserved_clean,
        "reserved bytes are zero",
        if parsed.reserved_clean {
            "zero"
        } else {
            "not zero"
        },
    );
}

fn signature(checks: &mut Checks, parsed: &ParsedReport<'_>, chain: &Chain) {
    let report = &parsed.report;
    checks.check(
        "report.signature_algorithm",
        Reason::Signature,
        report.sig_algo == ECDSA_P384_SHA384,
        ECDSA_P384_SHA384,
        report.sig_algo,
    );
    checks.check(
        "report.signing_key",
        Reason::Chain,
        report.signing_key() == SigningKey::Vcek,
        SigningKey::Vcek,
        report.signing_key(),
    );
    checks.check(
        "report.chip_key_mask",
        Reason::Platform,
        !report.chip_key_masked(),
        false,
        report.chip_key_masked(),
    );
    checks.check(
        "report.signature_padding",
        Reason::Signature,
        parsed.padding_clean,
        "unused signature bytes are zero",
        if parsed.padding_clean {
            "zero"
        } else {
            "not zero"
        },
    );
    if let Some(key) = chain.key {
        // Over the bytes as they came, never over a re-encoding of the parsed report.
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key);
        let holds = key.verify(parsed.signed, &parsed.signature).is_ok();
        checks.check(
            "report.signature",
            Reason::Signature,
            holds,
            "signed by the chip key",
            if holds {
                "signed by the chip key"
            } else {
                "does not verify"
            },
        );
    }
}

fn guest(checks: &mut Checks, report: &Report, policy: &SnpPolicy, inputs: &Inputs<'_>) {
    checks.check(
        "report.vmpl",
        Reason::Vmpl,
        policy.vmpls.contains(&report.vmpl),
        format_args!("one of {:?}", policy.vmpls.as_slice()),
        report.vmpl,
    );
    let measurements = policy.measurements.as_slice();
    checks.check(
        "report.measurement",
        Reason::Measurement,
        report.measurement.is_one_of(measurements.iter()),
        format_args!("one of {} in the policy", measurements.len()),
        report.measurement,
    );
    let agent = report.report_id_ma;
    checks.check(
        "report.migration_agent",
        Reason::Migrate,
        agent == [0xff; 32] || agent == [0; 32],
        "none",
        hex::encode(agent),
    );
    if let Some(earlier) = inputs.expected.earlier_report_id {
        checks.check(
            "report.id",
            Reason::Platform,
            report.report_id == earlier,
            hex::encode(earlier),
            hex::encode(report.report_id),
        );
    }
}

/// One check per bit. Numbers are those of the specification's guest policy structure.
fn guest_policy(checks: &mut Checks, guest: GuestPolicy, policy: &SnpPolicy) {
    let want = policy.guest;
    let mut bit = |name, reason, number, pass: bool, expected: &str| {
        let got = format_args!("bit {number} is {}", u8::from(guest.bit(number))).to_string();
        checks.check(name, reason, pass, expected, got);
    };
    bit(
        "guest.debug",
        Reason::Debug,
        19,
        !guest.bit(19),
        "debugging forbidden",
    );
    bit(
        "guest.migrate",
        Reason::Migrate,
        18,
        !guest.bit(18),
        "migration forbidden",
    );
    let bits = [
        ("guest.reserved_one", 17, true, false, "always set"),
        (
            "guest.smt",
            16,
            false,
            want.allow_smt,
            "one thread per core",
        ),
        ("guest.cxl", 21, false, want.allow_cxl, "no CXL"),
        (
            "guest.single_socket",
            20,
            true,
            !want.require_single_socket,
            "one socket",
        ),
        (
            "guest.aes_256_xts",
            22,
            true,
            !want.require_aes_256_xts,
            "AES-256-XTS",
        ),
        (
            "guest.rapl_disabled",
            23,
            true,
            !want.require_rapl_disabled,
            "no power readings",
        ),
        (
            "guest.ciphertext_hiding",
            24,
            true,
            !want.require_ciphertext_hiding,
            "hidden ciphertext",
        ),
        (
            "guest.page_swap_disabled",
            25,
            true,
            !want.require_page_swap_disabled,
            "no page swap",
        ),
    ];
    for (name, number, wanted, either, text) in bits {
        let pass = either || guest.bit(number) == wanted;
        let expected = if either { "either" } else { text };
        bit(name, Reason::PolicyBit, number, pass, expected);
    }
    let unknown = guest.0 >> (GuestPolicy::LAST_BIT + 1);
    checks.check(
        "guest.unknown_bits",
        Reason::PolicyBit,
        unknown == 0,
        "none",
        format_args!("{unknown:#x}"),
    );
    let (major, minor) = want.min_abi;
    let (got_major, got_minor) = guest.min_abi();
    checks.check(
        "guest.min_abi",
        Reason::PolicyBit,
        (got_major, got_minor) >= (major, minor),
        format_args!("at least {major}.{minor}"),
        format_args!("{got_major}.{got_minor}"),
    );
}
