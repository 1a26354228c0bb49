//! What is accepted, and what is then known.
#![allow(clippy::unwrap_used)]

use crate::check::Outcome;
use crate::testing::{Case, platform};

/// Every check of an accepted appraisal. A check that vanishes is a change of what we promise.
const CHECKS: &[&str] = &[
    "evidence.format",
    "evidence.tee",
    "report.size",
    "chain.ark",
    "chain.ask",
    "chain.vek",
    "chain.root",
    "chain.ark_signature",
    "chain.ark_validity",
    "chain.ask_signature",
    "chain.ask_validity",
    "chain.vek_signature",
    "chain.vek_validity",
    "chain.vek_key",
    "chain.vek_extensions",
    "report.version",
    "report.reserved",
    "report.signature_algorithm",
    "report.signing_key",
    "report.chip_key_mask",
    "report.signature_padding",
    "report.signature",
    "report.vmpl",
    "report.measurement",
    "report.migration_agent",
    "guest.debug",
    "guest.migrate",
    "guest.reserved_one",
    "guest.smt",
    "guest.cxl",
    "guest.single_socket",
    "guest.aes_256_xts",
    "guest.rapl_disabled",
    "guest.ciphertext_hiding",
    "guest.page_swap_disabled",
    "guest.unknown_bits",
    "guest.min_abi",
    "platform.generation",
    "platform.root",
    "tcb.current_layout",
    "tcb.reported_layout",
    "tcb.committed_layout",
    "tcb.launch_layout",
    "tcb.reported",
    "tcb.committed",
    "tcb.launch",
    "platform.product",
    "platform.struct_version",
    "platform.chip",
    "tcb.certified",
    "binding.report_data",
    "challenge.format",
    "challenge.nonce",
    "challenge.audience",
    "statement.format",
    "statement.tee",
    "statement.suite",
    "statement.config",
    "statement.release",
    "release.accepted",
    "release.format",
    "config.format",
    "config.walls",
    "config.backend",
    "config.engine",
    "config.egress",
    "config.clock",
    "config.clock_source",
    "config.providers",
    "config.requesters",
    "config.limits.max_jobs",
    "config.limits.standbys",
    "config.limits.wall_ms",
    "config.limits.memory_bytes",
    "config.limits.result_bytes",
    "config.limits.threads",
    "config.timeouts.ticket_ms",
    "config.timeouts.expiry_ms",
    "config.timeouts.keepalive_ms",
    "config.timeouts.progress_ms",
    "config.timeouts.epoch_ms",
    "config.timeouts.drain_ms",
    "config.timeouts.standby_ms",
    "config.spill",
];

#[test]
fn an_honest_platform_is_accepted_with_every_check() {
    let appraisal = Case::good().judge();
    let failed: Vec<_> = appraisal
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let names: Vec<_> = appraisal.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, CHECKS);
    assert!(appraisal.result.is_ok());
}

#[test]
fn what_is_known_of_it() {
    let case = Case::good();
    let evidence = case.evidence();
    let appraisal = case.judge_envelope(&evidence);
    let appraised = appraisal.result.unwrap();
    assert_eq!(appraised.key_statement(), &case.statement);
    assert_eq!(appraised.key_statement_digest(), case.statement.digest());
    assert_eq!(appraised.challenge(), &case.challenge);
    assert_eq!(appraised.config(), &case.config);
    assert_eq!(appraised.release(), &case.release);
    assert_eq!(appraised.measurement(), platform().measurement());
    assert_eq!(appraised.evidence_digest(), evidence.digest());
    assert_eq!(appraised.evidence_digest(), appraisal.evidence_digest);
    assert_eq!(appraised.policy_id(), appraisal.policy_id);
    assert_eq!(appraised.at(), case.now);
    assert!(appraised.valid_until() > case.now);
    assert!(appraised.sim() && appraisal.sim);
}

#[test]
fn the_body_digest_does_not_depend_on_the_signature() {
    let case = Case::good();
    let once = case.judge().result.unwrap();
    let again = case.judge().result.unwrap();
    // ECDSA is randomised: two reports of the same content differ in their bytes.
    assert_ne!(once.evidence_digest(), again.evidence_digest());
    assert_eq!(once.evidence_body_digest(), again.evidence_body_digest());
}

#[test]
fn the_same_instance_again() {
    let mut case = Case::good();
    let first = case.judge().result.unwrap();
    case.expected.earlier_report_id = first.report_id();
    case.expected.earlier_epoch = Some(0);
    case.statement.epoch = 1;
    case.statement.prev = Some(first.key_statement_digest());
    let appraisal = case.judge();
    assert!(appraisal.result.is_ok());
    assert_eq!(appraisal.checks.len(), CHECKS.len() + 2);
}

#[test]
fn more_walls_than_asked_for_and_encrypted_spill() {
    use crate::config::{Spill, Wall};
    let mut case = Case::good();
    case.config.walls.retain(|wall| *wall != Wall::NoSpill);
    case.config.walls.push(Wall::EncryptedSpill);
    case.config.walls.sort();
    case.config.spill = Spill::Encrypted { max_bytes: 1 << 30 };
    case.restate();
    assert!(case.judge().result.is_ok());
}

#[test]
fn requesters_among_those_of_the_policy() {
    use crate::config::Requesters;
    use duckblind_protocol::ids::PublicKey;
    let (a, b) = (
        PublicKey::from_bytes([1; 32]),
        PublicKey::from_bytes([2; 32]),
    );
    let mut case = Case::good();
    case.edit_policy(
        "requesters = [\"any\"]",
        &format!("requesters = [\"{a}\", \"{b}\"]"),
    );
    case.config.requesters = Requesters::Keys(vec![b]);
    case.restate();
    assert!(case.judge().result.is_ok());
    case.config.requesters = Requesters::Keys(vec![b, PublicKey::from_bytes([3; 32])]);
    case.restate();
    assert!(case.judge().result.is_err());
    case.config.requesters = Requesters::Any;
    case.restate();
    assert!(case.judge().result.is_err());
}
