//! What is accepted, and what is then known.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::ids::{Digest, UnixTime};

use super::{Inputs, SignatureCache, appraise, appraise_with};
use crate::attester::Attester;
use crate::check::Outcome;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::Policy;
use crate::reason::Warning;
use crate::simulator::{ReportVersion, SimulatedSnp, chip_extensions};
use crate::snp::Generation;
use crate::snp::certificate::Certificate;
use crate::testing::{Case, platform, platform_dir, strange_platform};

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
    "crl.given",
    "crl.format",
    "crl.validity",
    "crl.signature",
    "crl.number",
    "crl.revoked",
    "chain.ask_signature",
    "chain.ask_validity",
    "chain.vek_signature",
    "chain.vek_validity",
    "chain.vek_key",
    "chain.vek_extensions",
    "chain.vek_signer",
    "report.version",
    "report.reserved",
    "report.signature_algorithm",
    "report.signing_key",
    "report.certified_key",
    "report.chip_key_mask",
    "report.author_key_flag",
    "report.signature_padding",
    "report.signature",
    "platform.generation",
    "platform.root",
    "tcb.current_layout",
    "tcb.reported_layout",
    "tcb.committed_layout",
    "tcb.launch_layout",
    "platform.product",
    "platform.struct_version",
    "platform.chip",
    "tcb.certified",
    "platform.chip_allowed",
    "platform.chip_denied",
    "platform.paravisor",
    "platform.smt",
    "platform.tsme",
    "platform.ecc",
    "platform.rapl_disabled",
    "platform.ciphertext_hiding",
    "platform.alias_check",
    "platform.tio",
    "report.vmpl",
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
    "tcb.reported",
    "tcb.committed",
    "tcb.launch",
    "tcb.reported_order",
    "tcb.committed_order",
    "tcb.launch_order",
    "firmware.current",
    "firmware.committed",
    "tcb.provisional",
    "mitigations.launch",
    "mitigations.current",
    "report.measurement",
    "guest.host_data",
    "guest.family_id",
    "guest.image_id",
    "guest.svn",
    "guest.id_key",
    "guest.author_key",
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
fn the_vendors_documents() {
    let case = Case::good();
    let evidence = case.evidence();
    let appraisal = case.judge_envelope(&evidence);
    let endorsements = &evidence.endorsements;
    let digest = |der: &Option<Vec<u8>>| Digest::of(der.as_ref().unwrap());
    let digests = [
        ("ark", digest(&endorsements.ark)),
        ("ask", digest(&endorsements.ask)),
        ("crl", digest(&endorsements.crl)),
        ("vek", digest(&endorsements.vek)),
    ];
    assert_eq!(appraisal.collateral.digests, digests.into());
    // The chip key's certificate ends before all others.
    let vek = Certificate::from_der(endorsements.vek.as_ref().unwrap()).unwrap();
    let (from, to) = appraisal.collateral.window.unwrap();
    assert!(from <= case.now);
    assert_eq!(to, vek.validity().1);
    assert_eq!(appraisal.result.unwrap().valid_until(), to);
    let issuer = digest(&endorsements.ark);
    assert_eq!(appraisal.floors.crl_numbers, [(issuer, 1)].into());
}

#[test]
fn documents_that_are_not_there_or_not_readable() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence.endorsements.crl = None;
    let appraisal = case.judge_envelope(&evidence);
    assert!(!appraisal.collateral.digests.contains_key("crl"));
    assert!(appraisal.collateral.window.is_some());
    assert!(appraisal.floors.crl_numbers.is_empty());
    evidence.endorsements.ask = Some(vec![0]);
    let collateral = case.judge_envelope(&evidence).collateral;
    assert!(collateral.digests.contains_key("ask"));
    assert_eq!(collateral.window, None);
}

#[test]
fn warnings() {
    let mut case = Case::good();
    assert_eq!(
        case.judge().result.unwrap().warnings(),
        [Warning::Simulated]
    );
    let mut evidence = case.evidence();
    evidence.endorsements.crl = None;
    let appraised = case.judge_envelope(&evidence).result.unwrap();
    let both = [Warning::Simulated, Warning::NoRevocation];
    assert_eq!(appraised.warnings(), both);
    // A policy that takes Milan, and a simulated chip that says to be one.
    let milan = strange_platform(|chip| chip_extensions(chip, Generation::Milan).unwrap());
    case = Case::trusting(&milan);
    case.edit_policy("[\"genoa\"]", "[\"milan\"]");
    case.edit_policy("[snp.tcb_floors.genoa]", "[snp.tcb_floors.milan]");
    let mut report = milan.report(&case.report_data());
    report.cpuid = [0x19, 0x01, 0x01];
    let raw = milan.sign(report.encode()).unwrap();
    let appraised = case.judge_envelope(&case.envelope(raw)).result.unwrap();
    let both = [Warning::Simulated, Warning::Generation];
    assert_eq!(appraised.warnings(), both);
}

#[test]
fn a_cache_changes_no_verdict() {
    let mut case = Case::good();
    let evidence = case.evidence();
    let cache = SignatureCache::new(16);
    let judge = |case: &Case, evidence: &Evidence| {
        let policy = Policy::parse(&case.policy).unwrap();
        let bytes = evidence.encode();
        let inputs = Inputs {
            evidence: &bytes,
            endorsements: &case.endorsements,
            policy: &policy,
            expected: case.expected,
            floors: &case.floors,
            now: case.now,
        };
        let plain = appraise(&inputs);
        let cached = appraise_with(&inputs, &cache);
        assert_eq!(plain.checks, cached.checks);
        assert_eq!(plain.result.is_ok(), cached.result.is_ok());
        cached.result.is_ok()
    };
    assert!(judge(&case, &evidence));
    assert!(judge(&case, &evidence));
    type Part = fn(&mut Endorsements) -> &mut Option<Vec<u8>>;
    let damages: [Part; 4] = [
        |all| &mut all.ark,
        |all| &mut all.ask,
        |all| &mut all.vek,
        |all| &mut all.crl,
    ];
    for of in damages {
        let mut evidence = evidence.clone();
        let der = of(&mut evidence.endorsements).as_mut().unwrap();
        *der.last_mut().unwrap() ^= 1;
        assert!(!judge(&case, &evidence));
    }
    // Dates are looked at every time.
    case.now = UnixTime(case.now.0 + 8 * 365 * 24 * 60 * 60);
    assert!(!judge(&case, &evidence));
}

#[test]
fn version_5_with_its_mitigations() {
    let mut case = Case::good();
    for key in ["launch_mitigations", "current_mitigations"] {
        case.edit_policy(&format!("{key} = 0"), &format!("{key} = 3"));
    }
    let platform = SimulatedSnp::open(platform_dir())
        .unwrap()
        .with(ReportVersion::V5);
    let raw = platform.attest(&case.report_data()).unwrap();
    assert!(case.judge_envelope(&case.envelope(raw)).result.is_ok());
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
