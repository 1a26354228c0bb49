//! What the report speaks for.

use duckblind_protocol::ids::{Digest, Nonce};
use duckblind_protocol::key_statement::Tee;

use super::refused_by;
use crate::evidence::{Evidence, MAX_EVIDENCE};
use crate::reason::Reason;
use crate::testing::Case;

#[test]
fn report_data_byte_for_byte() {
    for at in 0..64 {
        let appraisal = Case::good().judge_report(|report| {
            *report.report_data.get_mut(at).unwrap() ^= 1;
        });
        refused_by(&appraisal, &["binding.report_data"], Reason::Binding);
    }
    let appraisal = Case::good().judge_report(|report| report.report_data = [0; 64]);
    refused_by(&appraisal, &["binding.report_data"], Reason::Binding);
}

/// Another preimage than the one bound, in an envelope that is honest otherwise.
fn swapped(change: impl FnOnce(&mut Case, &mut Evidence)) -> crate::appraise::Appraisal {
    let mut case = Case::good();
    let mut evidence = case.evidence();
    change(&mut case, &mut evidence);
    case.judge_envelope(&evidence)
}

#[test]
fn another_key_statement() {
    let appraisal = swapped(|case, evidence| {
        case.statement.instance_key = duckblind_protocol::ids::PublicKey::from_bytes([8; 32]);
        evidence.key_statement = case.statement.encode();
    });
    refused_by(&appraisal, &["binding.report_data"], Reason::Binding);
}

#[test]
fn another_challenge() {
    let appraisal = swapped(|case, evidence| {
        case.challenge.nonce = Nonce::from_bytes([8; 32]);
        case.expected.nonce = case.challenge.nonce;
        evidence.challenge = case.challenge.encode();
    });
    refused_by(&appraisal, &["binding.report_data"], Reason::Binding);
}

#[test]
fn another_configuration() {
    let appraisal = swapped(|case, evidence| {
        case.config.limits.threads = 1;
        evidence.config = case.config.encode();
    });
    refused_by(&appraisal, &["statement.config"], Reason::Binding);
}

#[test]
fn another_release() {
    let appraisal = swapped(|case, evidence| {
        let old = case.release.digest().to_string();
        case.release.commit = "other".into();
        let new = case.release.digest().to_string();
        // Accepted by the policy, but not what the statement names.
        case.edit_policy(&old, &new);
        evidence.release = case.release.encode();
    });
    refused_by(&appraisal, &["statement.release"], Reason::Binding);
}

#[test]
fn a_release_that_the_policy_does_not_list() {
    let mut case = Case::good();
    case.release.rustc = "rustc 0.0.0".into();
    case.restate();
    refused_by(&case.judge(), &["release.accepted"], Reason::Config);
}

#[test]
fn wrong_nonce() {
    let mut case = Case::good();
    case.expected.nonce = Nonce::from_bytes([9; 32]);
    refused_by(&case.judge(), &["challenge.nonce"], Reason::Nonce);
}

#[test]
fn wrong_audience() {
    let mut case = Case::good();
    case.expected.audience = Digest::of(b"another verifier");
    refused_by(&case.judge(), &["challenge.audience"], Reason::Nonce);
}

#[test]
fn an_earlier_epoch() {
    let mut case = Case::good();
    // The key of the epoch before the latest one still opens jobs.
    case.expected.earlier_epoch = Some(1);
    assert!(case.judge().result.is_ok());
    case.expected.earlier_epoch = Some(2);
    refused_by(&case.judge(), &["statement.epoch"], Reason::Binding);
}

#[test]
fn a_statement_of_another_kind_of_platform() {
    let mut case = Case::good();
    case.statement.tee = Tee::Tdx;
    refused_by(&case.judge(), &["statement.tee"], Reason::Binding);
}

#[test]
fn an_envelope_of_another_kind_of_platform() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence.tee = Tee::Tdx;
    let rejected = case.judge_envelope(&evidence).result.unwrap_err();
    let reasons = [Reason::Platform, Reason::CollateralMissing, Reason::Binding];
    assert_eq!(rejected.reasons, reasons);
}

#[test]
fn preimages_that_do_not_parse() {
    let case = Case::good();
    let honest = case.evidence();
    let mut evidence = honest.clone();
    evidence.key_statement.push(0);
    let rejected = case.judge_envelope(&evidence).result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Binding, Reason::Format]);
    let mut evidence = honest.clone();
    evidence.challenge.clear();
    let rejected = case.judge_envelope(&evidence).result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Binding, Reason::Format]);
    // Named by the statement, listed by the policy, and still not a release or a configuration.
    let mut case = Case::good();
    let nothing = Digest::of(b"nothing");
    case.statement.config = nothing;
    case.statement.release = nothing;
    let known = case.release.digest().to_string();
    case.edit_policy(&known, &nothing.to_string());
    let mut evidence = case.evidence();
    evidence.config = b"nothing".to_vec();
    evidence.release = b"nothing".to_vec();
    let appraisal = case.judge_envelope(&evidence);
    refused_by(
        &appraisal,
        &["release.format", "config.format"],
        Reason::Config,
    );
}

#[test]
fn envelopes() {
    let case = Case::good();
    let long = vec![0; MAX_EVIDENCE + 1];
    refused_by(
        &case.judge_bytes(&long),
        &["evidence.format"],
        Reason::Limit,
    );
    refused_by(&case.judge_bytes(&[]), &["evidence.format"], Reason::Format);
    let mut newer = case.evidence();
    newer.v = 2;
    refused_by(
        &case.judge_envelope(&newer),
        &["evidence.format"],
        Reason::Version,
    );
}
