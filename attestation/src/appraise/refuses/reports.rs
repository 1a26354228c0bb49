//! Reports.

use duckblind_protocol::coded::{Coded, Exit};
use proptest::prelude::*;

use super::refused_by;
use crate::appraise::Appraisal;
use crate::reason::Reason;
use crate::snp::Report;
use crate::snp::report::REPORT_LEN;
use crate::testing::Case;

/// Judges a report that the platform signs although it says something else than the truth.
fn lie(change: impl FnOnce(&mut Report)) -> Appraisal {
    Case::good().judge_report(change)
}

#[test]
fn every_flipped_byte() {
    let case = Case::good();
    let honest = case.evidence();
    for at in 0..REPORT_LEN {
        let mut evidence = honest.clone();
        *evidence.report.get_mut(at).unwrap() ^= 1 << (at % 8);
        let appraisal = case.judge_envelope(&evidence);
        assert!(appraisal.result.is_err(), "byte {at:#x}");
    }
}

#[test]
fn bytes_that_the_signature_does_not_cover() {
    let case = Case::good();
    for at in [0x2d0, 0x2e7, 0x318, 0x32f, 0x330, 0x49f] {
        let mut evidence = case.evidence();
        *evidence.report.get_mut(at).unwrap() = 1;
        let appraisal = case.judge_envelope(&evidence);
        refused_by(&appraisal, &["report.signature_padding"], Reason::Signature);
    }
}

#[test]
fn wrong_sizes() {
    let case = Case::good();
    for len in [0, 1, REPORT_LEN - 1, REPORT_LEN + 1] {
        let mut evidence = case.evidence();
        evidence.report.resize(len, 0);
        refused_by(
            &case.judge_envelope(&evidence),
            &["report.size"],
            Reason::Format,
        );
    }
}

#[test]
fn a_signature_of_another_report() {
    let case = Case::good();
    let mut evidence = case.evidence();
    let other = case.evidence();
    evidence.report.truncate(0x2a0);
    evidence.report.extend(other.report.get(0x2a0..).unwrap());
    // The same body signed twice: either signature is good.
    assert!(case.judge_envelope(&evidence).result.is_ok());
    let mut stranger = Case::good();
    stranger.statement.epoch = 0;
    stranger.challenge.nonce = duckblind_protocol::ids::Nonce::from_bytes([9; 32]);
    evidence.report.truncate(0x2a0);
    evidence
        .report
        .extend(stranger.evidence().report.get(0x2a0..).unwrap());
    refused_by(
        &case.judge_envelope(&evidence),
        &["report.signature"],
        Reason::Signature,
    );
}

#[test]
fn versions() {
    for version in [0, 1, 6, u32::MAX] {
        let appraisal = lie(|report| report.version = version);
        assert!(
            appraisal
                .result
                .unwrap_err()
                .reasons
                .contains(&Reason::Version)
        );
    }
    let five = lie(|report| report.version = 5);
    assert!(five.result.is_ok());
}

#[test]
fn a_version_2_report_even_if_its_cpu_fields_are_clean() {
    let appraisal = lie(|report| {
        report.version = 2;
        report.cpuid = [0; 3];
    });
    refused_by(&appraisal, &["report.version"], Reason::Version);
}

#[test]
fn reserved_bits() {
    let appraisal = lie(|report| report.key_info = 1 << 5);
    refused_by(&appraisal, &["report.reserved"], Reason::Format);
    let appraisal = lie(|report| report.current_mitigations = 1);
    refused_by(&appraisal, &["report.reserved"], Reason::Format);
}

#[test]
fn algorithm_and_keys() {
    let appraisal = lie(|report| report.sig_algo = 2);
    refused_by(
        &appraisal,
        &["report.signature_algorithm"],
        Reason::Signature,
    );
    for kind in [1, 2, 7] {
        let appraisal = lie(|report| report.key_info = kind << 2);
        refused_by(&appraisal, &["report.signing_key"], Reason::Chain);
    }
    let appraisal = lie(|report| report.key_info = 2);
    refused_by(&appraisal, &["report.chip_key_mask"], Reason::Platform);
}

#[test]
fn privilege_levels() {
    for vmpl in [1, 3, u32::MAX] {
        refused_by(
            &lie(|report| report.vmpl = vmpl),
            &["report.vmpl"],
            Reason::Vmpl,
        );
    }
}

#[test]
fn another_measurement() {
    let appraisal = lie(|report| {
        let mut bytes = *report.measurement.as_bytes();
        bytes[47] ^= 1;
        report.measurement = crate::measurement::Measurement::from_bytes(bytes);
    });
    refused_by(&appraisal, &["report.measurement"], Reason::Measurement);
    let rejected = appraisal.result.unwrap_err();
    assert_eq!(rejected.code(), "DB-ATT-012");
    assert_eq!(rejected.exit(), Exit::Rejected);
    assert!(rejected.hint().is_some() && rejected.got().is_some());
    assert_eq!(rejected.to_string(), "evidence was refused: E_MEASUREMENT");
}

#[test]
fn guest_policy_bits() {
    let bit = |number: u32| lie(|report| report.policy.0 ^= 1 << number);
    refused_by(&bit(19), &["guest.debug"], Reason::Debug);
    refused_by(&bit(18), &["guest.migrate"], Reason::Migrate);
    refused_by(&bit(17), &["guest.reserved_one"], Reason::PolicyBit);
    refused_by(&bit(21), &["guest.cxl"], Reason::PolicyBit);
    for number in [26, 40, 63] {
        refused_by(&bit(number), &["guest.unknown_bits"], Reason::PolicyBit);
    }
    // Stricter than the policy asks is fine.
    for number in [16, 20, 22, 23, 24, 25] {
        assert!(bit(number).result.is_ok(), "{number}");
    }
}

#[test]
fn guest_policy_bits_that_the_policy_asks_for() {
    let asked = [
        ("allow_smt = true", "allow_smt = false", "guest.smt"),
        (
            "require_single_socket = false",
            "require_single_socket = true",
            "guest.single_socket",
        ),
        (
            "require_aes_256_xts = false",
            "require_aes_256_xts = true",
            "guest.aes_256_xts",
        ),
        (
            "require_rapl_disabled = false",
            "require_rapl_disabled = true",
            "guest.rapl_disabled",
        ),
        (
            "require_ciphertext_hiding = false",
            "require_ciphertext_hiding = true",
            "guest.ciphertext_hiding",
        ),
        (
            "require_page_swap_disabled = false",
            "require_page_swap_disabled = true",
            "guest.page_swap_disabled",
        ),
        ("min_abi_minor = 0", "min_abi_minor = 1", "guest.min_abi"),
        ("min_abi_major = 0", "min_abi_major = 1", "guest.min_abi"),
    ];
    for (from, to, check) in asked {
        let mut case = Case::good();
        case.edit_policy(from, to);
        refused_by(&case.judge(), &[check], Reason::PolicyBit);
    }
}

#[test]
fn a_migration_agent() {
    let appraisal = lie(|report| report.report_id_ma = [1; 32]);
    refused_by(&appraisal, &["report.migration_agent"], Reason::Migrate);
    assert!(lie(|report| report.report_id_ma = [0; 32]).result.is_ok());
}

#[test]
fn firmware_below_the_floor() {
    // Genoa: bootloader, tee, reserved x4, snp, microcode. The policy's floor for tee is 0.
    for (at, check) in [
        (0, "tcb.committed"),
        (6, "tcb.committed"),
        (7, "tcb.committed"),
    ] {
        let appraisal = lie(|report| *report.committed_tcb.get_mut(at).unwrap() -= 1);
        refused_by(&appraisal, &[check], Reason::TcbFloor);
        let appraisal = lie(|report| *report.launch_tcb.get_mut(at).unwrap() -= 1);
        refused_by(&appraisal, &["tcb.launch"], Reason::TcbFloor);
    }
    let mut case = Case::good();
    case.edit_policy("microcode = 84", "microcode = 85");
    let all = ["tcb.reported", "tcb.committed", "tcb.launch"];
    refused_by(&case.judge(), &all, Reason::TcbFloor);
}

#[test]
fn firmware_that_the_certificate_does_not_speak_for() {
    let appraisal = lie(|report| report.reported_tcb[7] += 1);
    refused_by(&appraisal, &["tcb.certified"], Reason::Chain);
}

#[test]
fn reserved_bytes_of_firmware_versions() {
    type Field = fn(&mut Report) -> &mut [u8; 8];
    let fields: [(Field, &str); 4] = [
        (|r| &mut r.current_tcb, "tcb.current_layout"),
        (|r| &mut r.reported_tcb, "tcb.reported_layout"),
        (|r| &mut r.committed_tcb, "tcb.committed_layout"),
        (|r| &mut r.launch_tcb, "tcb.launch_layout"),
    ];
    for (field, check) in fields {
        for at in 2..6 {
            let appraisal = lie(|report| *field(report).get_mut(at).unwrap() = 1);
            refused_by(&appraisal, &[check], Reason::Format);
        }
    }
}

#[test]
fn other_chips_and_processors() {
    let appraisal = lie(|report| report.chip_id[0] ^= 1);
    refused_by(&appraisal, &["platform.chip"], Reason::Chain);
    let appraisal = lie(|report| report.chip_id = [0; 64]);
    refused_by(&appraisal, &["platform.chip"], Reason::Chain);
    let appraisal = lie(|report| report.cpuid = [0x17, 1, 1]);
    refused_by(&appraisal, &["platform.generation"], Reason::Generation);
}

#[test]
fn a_generation_that_the_policy_does_not_list() {
    let mut case = Case::good();
    case.edit_policy("generations = [\"genoa\"]", "generations = [\"turin\"]");
    case.edit_policy("[snp.tcb_floors.genoa]", "[snp.tcb_floors.turin]\nfmc = 0");
    let rejected = case.judge().result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Generation, Reason::TcbFloor]);
}

#[test]
fn another_life_of_the_guest() {
    let mut case = Case::good();
    case.expected.earlier_report_id = Some([5; 32]);
    refused_by(&case.judge(), &["report.id"], Reason::Platform);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_reports_never_panic(report in proptest::collection::vec(any::<u8>(), REPORT_LEN)) {
        let case = Case::good();
        let mut evidence = case.evidence();
        evidence.report = report;
        prop_assert!(case.judge_envelope(&evidence).result.is_err());
    }

    #[test]
    fn hostile_envelopes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(Case::good().judge_bytes(&bytes).result.is_err());
    }

    #[test]
    fn changed_envelopes_are_refused_or_mean_the_same(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let case = Case::good();
        let mut evidence = case.evidence();
        // Nothing judges revocation lists yet.
        evidence.endorsements.crl = None;
        let mut bytes = evidence.encode();
        let at = at.index(bytes.len());
        *bytes.get_mut(at).unwrap() ^= 1 << bit;
        prop_assert!(case.judge_bytes(&bytes).result.is_err());
    }
}
