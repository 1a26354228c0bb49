//! Versions of the firmware.

use super::refused_by;
use crate::appraise::Appraisal;
use crate::reason::{Reason, Warning};
use crate::snp::Report;
use crate::testing::Case;

/// Judges a report that the platform signs although it says something else than the truth.
fn lie(change: impl FnOnce(&mut Report)) -> Appraisal {
    Case::good().judge_report(change)
}

/// Genoa: bootloader, tee, reserved x4, snp, microcode.
const COMPONENTS: [usize; 4] = [0, 1, 6, 7];

/// A case whose floors are below what the platform has, so that there is room to go down.
fn room() -> Case {
    let mut case = Case::good();
    case.edit_policy("bootloader = 10", "bootloader = 9");
    case.edit_policy("\nsnp = 23", "\nsnp = 22");
    case.edit_policy("microcode = 84", "microcode = 83");
    case.edit_policy(
        "allow_provisional_firmware = false",
        "allow_provisional_firmware = true",
    );
    case
}

#[test]
fn below_the_floor() {
    let mut case = room();
    case.edit_policy("bootloader = 9", "bootloader = 10");
    let appraisal = case.judge_report(|report| report.launch_tcb[0] -= 1);
    refused_by(&appraisal, &["tcb.launch"], Reason::TcbFloor);
    for (from, to) in [
        ("bootloader = 10", "bootloader = 11"),
        ("\ntee = 0", "\ntee = 1"),
        ("\nsnp = 23", "\nsnp = 24"),
        ("microcode = 84", "microcode = 85"),
    ] {
        let mut case = Case::good();
        case.edit_policy(from, to);
        let all = ["tcb.reported", "tcb.committed", "tcb.launch"];
        refused_by(&case.judge(), &all, Reason::TcbFloor);
    }
    // The committed version alone is below: not with honest firmware, but it is looked at.
    let appraisal = case.judge_report(|report| report.committed_tcb[0] -= 1);
    let failed = ["tcb.committed", "tcb.reported_order"];
    refused_by(&appraisal, &failed, Reason::TcbFloor);
}

#[test]
fn versions_that_cannot_be_at_once() {
    for at in COMPONENTS {
        let raise = |tcb: &mut [u8; 8]| *tcb.get_mut(at).unwrap() += 1;
        let appraisal = room().judge_report(|report| raise(&mut report.committed_tcb));
        refused_by(&appraisal, &["tcb.committed_order"], Reason::TcbFloor);
        let appraisal = room().judge_report(|report| raise(&mut report.launch_tcb));
        refused_by(&appraisal, &["tcb.launch_order"], Reason::TcbFloor);
        // Running ahead is fine here.
        let appraisal = room().judge_report(|report| raise(&mut report.current_tcb));
        assert!(appraisal.result.is_ok());
    }
    for at in [0, 6, 7] {
        let lower = |tcb: &mut [u8; 8]| *tcb.get_mut(at).unwrap() -= 1;
        let appraisal = room().judge_report(|report| lower(&mut report.committed_tcb));
        refused_by(&appraisal, &["tcb.reported_order"], Reason::TcbFloor);
        let appraisal = room().judge_report(|report| lower(&mut report.launch_tcb));
        assert!(appraisal.result.is_ok());
    }
}

#[test]
fn what_runs_but_is_not_committed() {
    let ahead = |report: &mut Report| report.current_tcb[7] += 1;
    refused_by(&lie(ahead), &["tcb.provisional"], Reason::TcbFloor);
    let build = |report: &mut Report| report.current.build += 1;
    refused_by(&lie(build), &["tcb.provisional"], Reason::TcbFloor);
    for change in [ahead, build] {
        let appraised = room().judge_report(change).result.unwrap();
        assert!(appraised.warnings().contains(&Warning::Provisional));
    }
    let appraised = room().judge().result.unwrap();
    assert!(!appraised.warnings().contains(&Warning::Provisional));
}

#[test]
fn builds_below_the_floor() {
    let mut case = room();
    case.edit_policy("firmware = \"1.55.0\"", "firmware = \"1.55.2\"");
    let both = ["firmware.current", "firmware.committed"];
    refused_by(&case.judge(), &both, Reason::TcbFloor);
    let appraisal = case.judge_report(|report| report.current.build = 2);
    refused_by(&appraisal, &["firmware.committed"], Reason::TcbFloor);
    let appraisal = case.judge_report(|report| report.committed.build = 2);
    refused_by(&appraisal, &["firmware.current"], Reason::TcbFloor);
    let appraisal = case.judge_report(|report| {
        report.current.build = 2;
        report.committed.build = 2;
    });
    assert!(appraisal.result.is_ok());
}

#[test]
fn mitigations() {
    for (key, check) in [
        ("launch_mitigations", "mitigations.launch"),
        ("current_mitigations", "mitigations.current"),
    ] {
        let mut case = Case::good();
        case.edit_policy(&format!("{key} = 0"), &format!("{key} = 0x5"));
        // Version 3 does not say.
        refused_by(&case.judge(), &[check], Reason::TcbFloor);
        let with = |bits: u64| {
            case.judge_report(|report| {
                report.version = 5;
                report.launch_mitigations = bits;
                report.current_mitigations = bits;
            })
        };
        for bits in [0, 1, 4, 2] {
            refused_by(&with(bits), &[check], Reason::TcbFloor);
        }
        for bits in [5, 7, u64::MAX] {
            assert!(with(bits).result.is_ok(), "{bits:#x}");
        }
    }
}

#[test]
fn versions_that_the_certificate_does_not_speak_for() {
    for at in COMPONENTS {
        let appraisal = room().judge_report(|report| {
            for tcb in [
                &mut report.reported_tcb,
                &mut report.committed_tcb,
                &mut report.current_tcb,
            ] {
                *tcb.get_mut(at).unwrap() += 1;
            }
        });
        refused_by(&appraisal, &["tcb.certified"], Reason::Chain);
    }
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
            let rejected = appraisal.result.unwrap_err();
            let failed = rejected
                .failed
                .iter()
                .map(|check| (check.name, check.reason));
            assert!(failed.into_iter().any(|one| one == (check, Reason::Format)));
        }
    }
}
