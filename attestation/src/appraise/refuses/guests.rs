//! What was launched, and what it may do.

use duckblind_protocol::coded::{Coded, Exit};

use super::refused_by;
use crate::appraise::Appraisal;
use crate::reason::Reason;
use crate::snp::Report;
use crate::testing::Case;

/// Judges a report that the platform signs although it says something else than the truth.
fn lie(change: impl FnOnce(&mut Report)) -> Appraisal {
    Case::good().judge_report(change)
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
    // SMT is on: a guest that forbids it cannot be there.
    refused_by(&bit(16), &["platform.smt"], Reason::Platform);
    // Stricter than the policy asks is fine.
    for number in [20, 22, 23, 24, 25] {
        assert!(bit(number).result.is_ok(), "{number}");
    }
}

#[test]
fn guest_policy_bits_that_the_policy_asks_for() {
    let asked = [
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
            "require_ciphertext_hiding = []",
            "require_ciphertext_hiding = [\"genoa\"]",
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
    // What is asked of another generation is not asked of this one.
    let mut case = Case::good();
    case.edit_policy(
        "require_ciphertext_hiding = []",
        "require_ciphertext_hiding = [\"turin\", \"milan\"]",
    );
    assert!(case.judge().result.is_ok());
}

#[test]
fn two_threads_per_core() {
    let mut case = Case::good();
    case.edit_policy("allow_smt = true", "allow_smt = false");
    let rejected = case.judge().result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Platform, Reason::PolicyBit]);
    let appraisal = case.judge_report(|report| {
        report.policy.0 &= !(1 << 16);
        report.platform_info &= !1;
    });
    assert!(appraisal.result.is_ok());
    // The guest would take it, the machine does not offer it.
    let appraisal = case.judge_report(|report| report.platform_info &= !1);
    refused_by(&appraisal, &["guest.smt"], Reason::PolicyBit);
}

/// What owner and host wrote into the report, and the policy's key for it.
#[test]
fn what_the_owner_said() {
    type Write = fn(&mut Report);
    let fields: [(Write, &str, usize, &str); 5] = [
        (|r| r.host_data[31] = 1, "guest.host_data", 32, "host_data"),
        (|r| r.family_id[15] = 1, "guest.family_id", 16, "family_ids"),
        (|r| r.image_id[15] = 1, "guest.image_id", 16, "image_ids"),
        (|r| r.id_key_digest[47] = 1, "guest.id_key", 48, "id_keys"),
        (
            |r| {
                r.key_info = 1;
                r.author_key_digest[47] = 1;
            },
            "guest.author_key",
            48,
            "author_keys",
        ),
    ];
    for (write, check, len, key) in fields {
        refused_by(&lie(write), &[check], Reason::Measurement);
        let zero = format!("\n{key} = [\"zero\"]");
        let one = format!("\"{}01\"", "00".repeat(len - 1));
        for (listed, nothing, something) in [
            ("\"any\"".to_owned(), true, true),
            (one.clone(), false, true),
            (format!("\"zero\", {one}"), true, true),
        ] {
            let mut case = Case::good();
            case.edit_policy(&zero, &format!("\n{key} = [{listed}]"));
            assert_eq!(case.judge().result.is_ok(), nothing, "{key} {listed}");
            let appraisal = case.judge_report(write);
            assert_eq!(appraisal.result.is_ok(), something, "{key} {listed}");
        }
    }
}

#[test]
fn an_older_version_of_the_guest() {
    let mut case = Case::good();
    case.edit_policy("min_guest_svn = 0", "min_guest_svn = 2");
    let appraisal = case.judge_report(|report| report.guest_svn = 1);
    refused_by(&appraisal, &["guest.svn"], Reason::Measurement);
    let appraisal = case.judge_report(|report| report.guest_svn = 2);
    assert!(appraisal.result.is_ok());
}

#[test]
fn a_migration_agent() {
    let appraisal = lie(|report| report.report_id_ma = [1; 32]);
    refused_by(&appraisal, &["report.migration_agent"], Reason::Migrate);
    assert!(lie(|report| report.report_id_ma = [0; 32]).result.is_ok());
}

#[test]
fn another_life_of_the_guest() {
    let mut case = Case::good();
    case.expected.earlier_report_id = Some([5; 32]);
    refused_by(&case.judge(), &["report.id"], Reason::Platform);
}
