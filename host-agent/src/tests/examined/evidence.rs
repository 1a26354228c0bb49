//! What is said of evidence, with that of simulated platforms.

use std::path::PathBuf;

use duckblind_attestation::attester::Attester as _;
use duckblind_attestation::evidence::Evidence;
use duckblind_attestation::measurement::Measurement;
use duckblind_attestation::policy::fill_development;
use duckblind_attestation::sample;
use duckblind_protocol::frames::{Kind, frame};
use duckblind_protocol::ids::{Digest, Nonce};
use duckblind_protocol::key_statement::{Challenge, report_data};

use super::super::simulated;
use super::{Node, one};
use crate::doctor::{Finding, Outcome, verdict};

const TEMPLATE: &str = include_str!("../../../../policies/development.toml");

/// The report on an enclave of the simulated SNP platform, whose evidence is changed so, under a
/// policy that takes the platform but for what is replaced in it.
async fn report(
    change: impl Fn(&mut Evidence) + Send + 'static,
    replaced: (&str, &str),
) -> Vec<Finding> {
    let node = Node::new("l2");
    let platform = simulated::snp();
    let policy = policy(&node, platform.measurement(), replaced);
    node.enclave(move |asked| {
        let mut evidence = simulated::answer(&platform, asked);
        change(&mut evidence);
        frame(Kind::Evidence, &evidence.encode())
    });
    node.report(Some(&policy)).await
}

fn policy(node: &Node, measured: Measurement, replaced: (&str, &str)) -> PathBuf {
    let release = sample::release().digest();
    let policy =
        fill_development(TEMPLATE, &[simulated::roots()], &[measured], &[release]).unwrap();
    assert!(policy.contains(replaced.0));
    let file = node.dir.path().join("policy.toml");
    std::fs::write(&file, policy.replacen(replaced.0, replaced.1, 1)).unwrap();
    file
}

/// What was said under the policy.
fn judged(report: &[Finding]) -> Vec<&Finding> {
    report
        .iter()
        .filter(|each| each.check == "policy")
        .collect()
}

#[tokio::test]
async fn an_honest_enclave() {
    let report = report(|_| {}, ("", "")).await;
    let evidence = one(&report, "evidence");
    assert_eq!(evidence.outcome, Outcome::Pass);
    assert!(evidence.detail.contains("genoa, reported TCB"));
    let endorsements = one(&report, "endorsements");
    assert_eq!(endorsements.outcome, Outcome::Warn);
    let root = simulated::snp().root().to_string();
    assert!(endorsements.detail.contains(&root));
    let collateral = one(&report, "collateral");
    assert_eq!(collateral.outcome, Outcome::Pass, "{}", collateral.detail);
    let policy = judged(&report);
    assert_eq!(policy[0].outcome, Outcome::Pass, "{policy:?}");
    assert!(policy[0].detail.starts_with("accepted under development, "));
    assert_eq!(policy[1].outcome, Outcome::Warn);
    assert!(policy[1].detail.starts_with("W_SIMULATED: "));
    assert_eq!(policy.len(), 2);
}

#[tokio::test]
async fn every_failed_check_is_told() {
    let measured = simulated::snp().measurement().to_string();
    let other = "09".repeat(48);
    let report = report(|_| {}, (&measured, &other)).await;
    let told = judged(&report);
    assert!(told.iter().all(|each| each.outcome == Outcome::Fail));
    assert!(
        told[0]
            .detail
            .starts_with("E_MEASUREMENT report.measurement: expected ")
    );
    assert!(told[0].detail.contains(&format!("got {measured}")));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(verdict(&report).is_err());
}

#[tokio::test]
async fn firmware_below_the_floor() {
    let report = report(|_| {}, ("\nsnp = ", "\nsnp = 2")).await;
    let told = judged(&report);
    let floor = |each: &&&Finding| each.detail.starts_with("E_TCB_FLOOR tcb.");
    let of_floor: Vec<_> = told.iter().filter(floor).collect();
    for name in ["tcb.reported", "tcb.committed", "tcb.launch"] {
        let named = of_floor.iter().find(|each| each.detail.contains(name));
        assert_eq!(named.expect(name).outcome, Outcome::Fail);
    }
    assert_eq!(
        of_floor[0].hint.as_deref(),
        Some("update the platform's firmware")
    );
}

#[tokio::test]
async fn an_answer_to_another_question() {
    let change = |evidence: &mut Evidence| {
        let other = Challenge::new(Nonce::from_bytes([9; 32]), Digest::of(b"another signer"));
        let data = report_data(&evidence.key_statement, &other.encode());
        evidence.challenge = other.encode();
        evidence.report = simulated::snp().attest(&data).unwrap().report;
    };
    let report = report(change, ("", "")).await;
    let told = judged(&report);
    let nonce = told.iter().find(|each| each.detail.starts_with("E_NONCE"));
    assert_eq!(nonce.unwrap().outcome, Outcome::Fail);
}

#[tokio::test]
async fn certificates_that_are_not_carried_are_no_failure() {
    let report = report(|evidence| evidence.endorsements.vek = None, ("", "")).await;
    let endorsements = one(&report, "endorsements");
    assert_eq!(endorsements.outcome, Outcome::Warn);
    assert!(endorsements.detail.contains("(VEK) is not carried"));
    let told = judged(&report);
    let missing = |each: &&&Finding| each.detail.starts_with("E_COLLATERAL_MISSING");
    assert_eq!(told.iter().find(missing).unwrap().outcome, Outcome::Warn);
    assert!(told.iter().all(|each| each.outcome != Outcome::Pass));
}

#[tokio::test]
async fn a_certificate_for_other_firmware() {
    // The reported TCB's microcode.
    let report = report(|evidence| evidence.report[0x187] ^= 1, ("", "")).await;
    let endorsements = one(&report, "endorsements");
    assert_eq!(endorsements.outcome, Outcome::Fail);
    assert!(endorsements.hint.as_ref().unwrap().contains("updated"));
}

#[tokio::test]
async fn quotes_of_tdx() {
    for (cut, outcome) in [(0, Outcome::Pass), (1, Outcome::Fail)] {
        let node = Node::new("l2");
        let platform = simulated::tdx();
        node.enclave(move |asked| {
            let mut evidence = simulated::answer(&platform, asked);
            evidence.report.truncate(evidence.report.len() - cut);
            frame(Kind::Evidence, &evidence.encode())
        });
        let report = node.report(None).await;
        let evidence = one(&report, "evidence");
        assert_eq!(evidence.outcome, outcome, "{}", evidence.detail);
        assert!(evidence.detail.contains("tdx quote"));
        assert_eq!(one(&report, "endorsements").outcome, Outcome::Pass);
        let collateral = one(&report, "collateral");
        assert_eq!(collateral.outcome, Outcome::Pass, "{}", collateral.detail);
        assert_eq!(one(&report, "policy").outcome, Outcome::Skip);
    }
}
