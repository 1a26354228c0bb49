//! Reports of real machines.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::Tee;
use serde::Deserialize;

use super::{Appraisal, Expected, Floors, Inputs, appraise};
use crate::check::Outcome;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::snp::Generation;
use crate::snp::report::{ParsedReport, SIGNED_LEN};

#[derive(Deserialize)]
struct Vector {
    name: String,
    report: String,
    generation: String,
    vek: Option<String>,
    vek_kind: Option<String>,
    now: i64,
    expect_crypto: String,
    strict_reasons: Vec<String>,
}

/// The checks that need no policy of ours: format, signature, chain, certificate against report.
const CRYPTO: &[&str] = &[
    "report.",
    "chain.",
    "platform.",
    "tcb.current_layout",
    "tcb.certified",
];
/// Of these, what depends on who judges.
const NOT_CRYPTO: &[&str] = &[
    "report.vmpl",
    "report.measurement",
    "report.migration_agent",
];

fn folder() -> Option<PathBuf> {
    crate::vectors::folder("snp").map(|folder| folder.join("normalized"))
}

fn vectors(folder: &Path) -> Vec<Vector> {
    let all: Vec<Vector> =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert!(all.len() >= 14);
    all
}

fn evidence(folder: &Path, vector: &Vector) -> Evidence {
    let read = |name: String| fs::read(folder.join(name)).unwrap();
    let line = vector
        .generation
        .trim_end_matches('?')
        .trim_end_matches("-a0");
    let signer = match vector.vek_kind.as_deref() {
        Some("VLEK") => "asvk",
        _ => "ask",
    };
    Evidence {
        v: 1,
        tee: Tee::SevSnp,
        report: read(vector.report.clone()),
        key_statement: vec![],
        challenge: vec![],
        config: vec![],
        release: vec![],
        endorsements: Endorsements {
            vek: vector.vek.clone().map(read),
            ask: Some(read(format!("{signer}_{line}.der"))),
            ark: Some(read(format!("ark_{line}.der"))),
            ..Endorsements::default()
        },
        event_log: None,
    }
}

/// All of AMD's roots, with generations and report versions as given.
fn policy(generations: &str, versions: &str) -> Policy {
    let roots: Vec<_> = Generation::ALL
        .iter()
        .map(|generation| format!("\"{}\"", generation.root()))
        .collect();
    let floors = "[snp.tcb_floors.milan]\nbootloader = 4\ntee = 0\nsnp = 23\nmicrocode = 213\n\
        [snp.tcb_floors.turin]\nfmc = 1\nbootloader = 1\ntee = 1\nsnp = 4\nmicrocode = 81\n\
        [snp.tcb_floors.genoa]";
    let text = include_str!("../../../policies/development.toml")
        .replacen(
            "\nroots = []",
            &format!("\nroots = [{}]", roots.join(", ")),
            1,
        )
        .replacen("[\"genoa\"]", generations, 1)
        .replacen("[3, 4, 5]", versions, 1)
        .replacen("[snp.tcb_floors.genoa]", floors, 1)
        .replacen(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "cd".repeat(48)),
            1,
        )
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "ef".repeat(32)),
            1,
        );
    Policy::parse(&text).unwrap()
}

fn everything() -> Policy {
    policy("[\"milan\", \"genoa\", \"turin\"]", "[2, 3, 4, 5]")
}

fn judge(evidence: &Evidence, policy: &Policy, now: i64) -> Appraisal {
    appraise(&Inputs {
        evidence: &evidence.encode(),
        endorsements: &Endorsements::default(),
        policy,
        expected: Expected {
            nonce: Nonce::from_bytes([0; 32]),
            audience: Digest::of(b"nobody"),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now: UnixTime(now),
    })
}

/// The failures among the checks that need no policy of ours.
fn crypto_failures(appraisal: &Appraisal) -> Vec<&'static str> {
    appraisal
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .map(|check| check.name)
        .filter(|name| CRYPTO.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !NOT_CRYPTO.contains(name))
        .collect()
}

#[test]
fn signatures_chains_and_extensions() {
    let Some(folder) = folder() else { return };
    let policy = everything();
    let (mut accepted, mut refused) = (0, 0);
    for vector in vectors(&folder) {
        let appraisal = judge(&evidence(&folder, &vector), &policy, vector.now);
        assert!(appraisal.result.is_err() && !appraisal.sim);
        let failed = crypto_failures(&appraisal);
        let expected: &[&str] = match (vector.vek_kind.as_deref(), vector.expect_crypto.as_str()) {
            // Keys that clouds hold for AMD are not taken: they have no chip to compare.
            (Some("VLEK"), _) => &["chain.vek_extensions", "report.signing_key"],
            (_, "accept") => &[],
            _ => &["chain.vek"],
        };
        let mut sorted = failed.clone();
        sorted.sort_unstable();
        for name in expected {
            assert!(sorted.contains(name), "{}: {failed:?}", vector.name);
        }
        assert_eq!(
            failed.is_empty(),
            expected.is_empty(),
            "{}: {failed:?}",
            vector.name
        );
        if expected.is_empty() {
            accepted += 1;
            let checks = appraisal.checks.iter();
            let made = checks
                .filter(|check| check.name == "report.signature")
                .count();
            assert_eq!(made, 1, "{}", vector.name);
        } else {
            refused += 1;
        }
    }
    assert!(accepted >= 12 && refused >= 2, "{accepted} {refused}");
}

#[test]
fn a_strict_policy_names_what_is_wrong() {
    let Some(folder) = folder() else { return };
    let policy = policy("[\"genoa\", \"turin\"]", "[3, 4, 5]");
    for vector in vectors(&folder) {
        // Past the end of the cloud key's certificate, within that of all chip keys.
        let now = vector.now.max(1_767_225_600);
        let appraisal = judge(&evidence(&folder, &vector), &policy, now);
        let reasons = appraisal.result.unwrap_err().reasons;
        for wanted in &vector.strict_reasons {
            let wanted = match wanted.as_str() {
                // Paravisor reports bind data of another kind: that is seen, the cause is not.
                "E_PLATFORM_PARAVISOR" => Reason::Binding,
                other => other.parse().unwrap(),
            };
            assert!(
                reasons.contains(&wanted),
                "{}: {wanted} not in {reasons:?}",
                vector.name
            );
        }
    }
}

#[test]
fn every_flipped_byte_of_a_real_report() {
    let Some(folder) = folder() else { return };
    let policy = everything();
    for vector in vectors(&folder) {
        let honest = evidence(&folder, &vector);
        if !crypto_failures(&judge(&honest, &policy, vector.now)).is_empty() {
            continue;
        }
        // Where parsers that re-encode look away, and a few places all over.
        let blind = [
            0x3a, 0x3c, 0x182, 0x184, 0x1e2, 0x1e4, 0x1f2, 0x1f4, 0x2d0, 0x2e7, 0x318, 0x49f,
        ];
        for at in blind.into_iter().chain((0..SIGNED_LEN).step_by(37)) {
            let mut evidence = honest.clone();
            evidence.report[at] ^= 1;
            let failed = crypto_failures(&judge(&evidence, &policy, vector.now));
            assert!(!failed.is_empty(), "{} byte {at:#x}", vector.name);
        }
    }
}

#[test]
fn swapped_keys_and_generations() {
    let Some(folder) = folder() else { return };
    let policy = everything();
    let real: Vec<_> = vectors(&folder)
        .into_iter()
        .filter(|vector| {
            vector.expect_crypto == "accept" && vector.vek_kind.as_deref() == Some("VCEK")
        })
        .map(|vector| (evidence(&folder, &vector), vector.now))
        .collect();
    for (one, now) in &real {
        for (other, _) in &real {
            if one.endorsements.vek == other.endorsements.vek {
                continue;
            }
            let mut evidence = one.clone();
            evidence
                .endorsements
                .vek
                .clone_from(&other.endorsements.vek);
            let failed = crypto_failures(&judge(&evidence, &policy, *now));
            assert!(!failed.is_empty());
            let mut evidence = one.clone();
            evidence.endorsements = other.endorsements.clone();
            let failed = crypto_failures(&judge(&evidence, &policy, *now));
            assert!(failed.contains(&"report.signature"), "{failed:?}");
            if one.endorsements.ark != other.endorsements.ark && !is_version_2(one) {
                assert!(failed.contains(&"platform.root"), "{failed:?}");
            }
        }
    }
}

/// Such reports take their generation from the certificate.
fn is_version_2(evidence: &Evidence) -> bool {
    evidence.report.first() == Some(&2)
}

/// A genuine root, listed as a simulated one: what counts is the list that it is in, and builds
/// without simulators have no such list.
#[test]
fn the_list_decides_what_is_simulated() {
    let Some(folder) = folder() else { return };
    let vectors = vectors(&folder);
    let vector = vectors
        .iter()
        .find(|vector| vector.generation == "genoa")
        .unwrap();
    let text = include_str!("../../../policies/development.toml")
        .replacen(
            "\nsimulator_roots = []",
            &format!("\nsimulator_roots = [\"{}\"]", Generation::Genoa.root()),
            1,
        )
        .replacen(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "cd".repeat(48)),
            1,
        )
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "ef".repeat(32)),
            1,
        );
    let appraisal = judge(
        &evidence(&folder, vector),
        &Policy::parse(&text).unwrap(),
        vector.now,
    );
    let known = cfg!(feature = "simulator");
    assert_eq!(appraisal.sim, known);
    let reasons = appraisal.result.unwrap_err().reasons;
    assert_eq!(reasons.contains(&Reason::Root), !known);
}

#[test]
fn another_parser_reads_the_same() {
    use sev::firmware::guest::AttestationReport;
    use sev::parser::ByteParser as _;

    let Some(folder) = folder() else { return };
    for vector in vectors(&folder) {
        let raw = evidence(&folder, &vector).report;
        let ours = ParsedReport::parse(&raw).unwrap().report;
        let Ok(theirs) = AttestationReport::from_bytes(&raw) else {
            // It refuses masked chip ids and some empty fields of old versions.
            assert!(
                ours.version == 2 || ours.chip_id == [0; 64],
                "{}",
                vector.name
            );
            continue;
        };
        assert_eq!(ours.version, theirs.version);
        assert_eq!(ours.vmpl, theirs.vmpl);
        assert_eq!(ours.policy.0, u64::from(theirs.policy));
        assert_eq!(ours.report_data, theirs.report_data);
        assert_eq!(ours.measurement.as_bytes(), &theirs.measurement);
        assert_eq!(ours.report_id, theirs.report_id);
        assert_eq!(ours.chip_id, theirs.chip_id);
        let generation = ours.generation().unwrap_or(Generation::Milan);
        let tcb = crate::snp::Tcb::decode(ours.committed_tcb, generation).unwrap();
        let other = theirs.committed_tcb;
        assert_eq!(
            (tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode),
            (
                other.fmc,
                other.bootloader,
                other.tee,
                other.snp,
                other.microcode
            )
        );
    }
}
