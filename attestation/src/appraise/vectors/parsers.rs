//! What others say of the same reports.

use duckblind_protocol::ids::{Digest, Nonce};
use duckblind_protocol::key_statement::Tee;

use super::{vector, vectors};
use crate::appraise::{Expected, Floors, Inputs, appraise};
use crate::evidence::{Endorsements, Evidence};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::snp::Generation;
use crate::snp::report::ParsedReport;

/// A genuine root, listed as a simulated one: what counts is the list that it is in, and builds
/// without simulators have no such list.
#[test]
fn the_list_decides_what_is_simulated() {
    let Some(vector) = vector("project-oak_oak__genoa") else {
        return;
    };
    let text = include_str!("../../../../policies/development.toml")
        .replace(
            "\nsimulator_roots = []",
            &format!("\nsimulator_roots = [\"{}\"]", Generation::Genoa.root()),
        )
        .replacen(
            "\nimages = []",
            &format!(
                "\nimages = [{{ mrtd = \"{}\", rtmr0 = \"zero\", rtmr1 = \"zero\", \
                 rtmr2 = \"zero\", rtmr3 = \"zero\" }}]",
                "cd".repeat(48)
            ),
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
    let evidence = Evidence {
        v: 1,
        tee: Tee::SevSnp,
        report: vector.report,
        key_statement: vec![],
        challenge: vec![],
        config: vec![],
        release: vec![],
        endorsements: vector.endorsements,
        event_log: None,
    };
    let appraisal = appraise(&Inputs {
        evidence: &evidence.encode(),
        endorsements: &Endorsements::default(),
        policy: &Policy::parse(&text).unwrap(),
        expected: Expected {
            nonce: Nonce::from_bytes([0; 32]),
            audience: Digest::of(b"nobody"),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now: vector.now,
    });
    let known = cfg!(feature = "simulator");
    assert_eq!(appraisal.sim, known);
    let reasons = appraisal.result.unwrap_err().reasons;
    assert_eq!(reasons.contains(&Reason::Root), !known);
}

#[test]
fn another_parser_reads_the_same() {
    use sev::firmware::guest::AttestationReport;
    use sev::parser::ByteParser as _;

    for vector in vectors() {
        let raw = vector.report;
        let ours = ParsedReport::parse(&raw).unwrap().report;
        let Ok(theirs) = AttestationReport::from_bytes(&raw) else {
            // It refuses masked chip ids and some empty fields of old versions.
            assert!(
                ours.version == 2 || ours.chip_id == [0; 64],
                "{}",
                vector.manifest.name
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
