//! Reports: layout and signature.

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
        let failed = ["report.signing_key", "report.certified_key"];
        refused_by(&appraisal, &failed, Reason::Chain);
    }
    let appraisal = lie(|report| report.key_info = 2);
    refused_by(&appraisal, &["report.chip_key_mask"], Reason::Platform);
}

#[test]
fn an_author_key_that_is_said_to_be_there_and_is_not() {
    let failed = ["report.author_key_flag"];
    let mut case = Case::good();
    case.edit_policy("author_keys = [\"zero\"]", "author_keys = [\"any\"]");
    let appraisal = case.judge_report(|report| report.key_info = 1);
    refused_by(&appraisal, &failed, Reason::Format);
    let appraisal = case.judge_report(|report| report.author_key_digest[47] = 1);
    refused_by(&appraisal, &failed, Reason::Format);
    let appraisal = case.judge_report(|report| {
        report.key_info = 1;
        report.author_key_digest[47] = 1;
    });
    assert!(appraisal.result.is_ok());
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
        let mut bytes = case.evidence().encode();
        let at = at.index(bytes.len());
        *bytes.get_mut(at).unwrap() ^= 1 << bit;
        prop_assert!(case.judge_bytes(&bytes).result.is_err());
    }
}
