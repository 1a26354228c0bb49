//! Keys that clouds hold for AMD.

use super::refused_by;
use crate::appraise::Appraisal;
use crate::attester::Attester;
use crate::reason::Reason;
use crate::simulator::{GENERATION, SimulatedSnp, chip_extensions};
use crate::snp::vek;
use crate::testing::{Case, cloud, platform, strange_platform, stranger};

const CLOUD: &str = "CN=cloud.example";

fn in_the_cloud() -> SimulatedSnp {
    SimulatedSnp::made_by_cloud(stranger(), cloud(), CLOUD, platform().measurement()).unwrap()
}

/// A policy that takes keys of this cloud.
fn case(platform: &SimulatedSnp) -> Case {
    let mut case = Case::trusting(platform);
    case.edit_policy("[\"vcek\"]", "[\"vcek\", \"vlek\"]");
    case.edit_policy("csp_ids = []", &format!("csp_ids = [\"{CLOUD}\"]"));
    case
}

fn judge(case: &Case, platform: &SimulatedSnp) -> Appraisal {
    let raw = platform.attest(&case.report_data()).unwrap();
    case.judge_envelope(&case.envelope(raw))
}

#[test]
fn taken_where_the_policy_lists_the_cloud() {
    let platform = in_the_cloud();
    let case = case(&platform);
    let appraised = judge(&case, &platform).result.unwrap();
    assert_eq!(appraised.platform_id(), [0; 64]);
    // It speaks for each chip of the cloud, named or not.
    let mut report = platform.report(&case.report_data());
    report.chip_id = [9; 64];
    let raw = platform.sign(report.encode()).unwrap();
    assert!(case.judge_envelope(&case.envelope(raw)).result.is_ok());
}

#[test]
fn refused_where_the_policy_lists_chips_keys_only() {
    let platform = in_the_cloud();
    let appraisal = judge(&Case::trusting(&platform), &platform);
    let rejected = appraisal.result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Chain, Reason::Platform]);
    let mut case = case(&platform);
    case.edit_policy("[\"vcek\", \"vlek\"]", "[\"vcek\"]");
    refused_by(
        &judge(&case, &platform),
        &["report.signing_key"],
        Reason::Chain,
    );
}

#[test]
fn another_cloud() {
    let platform = in_the_cloud();
    let mut case = case(&platform);
    case.edit_policy(CLOUD, "CN=other.example");
    refused_by(
        &judge(&case, &platform),
        &["platform.cloud"],
        Reason::Platform,
    );
}

#[test]
fn an_unnamed_chip_may_be_one_that_is_denied() {
    let platform = in_the_cloud();
    let mut case = case(&platform);
    let denied = format!("denied_chips = [\"{}\"]", "09".repeat(64));
    case.edit_policy("denied_chips = []", &denied);
    refused_by(
        &judge(&case, &platform),
        &["platform.chip_denied"],
        Reason::Platform,
    );
}

#[test]
fn a_chip_list_takes_no_unnamed_chip() {
    let platform = in_the_cloud();
    let mut case = case(&platform);
    let chips = format!("chips = [\"{}\"]", "09".repeat(64));
    case.edit_policy("chips = [\"any\"]", &chips);
    refused_by(
        &judge(&case, &platform),
        &["platform.chip_allowed"],
        Reason::Platform,
    );
}

#[test]
fn a_report_that_names_another_kind_of_key() {
    let platform = in_the_cloud();
    let case = case(&platform);
    let mut report = platform.report(&case.report_data());
    report.key_info = 0;
    let raw = platform.sign(report.encode()).unwrap();
    let appraisal = case.judge_envelope(&case.envelope(raw));
    refused_by(&appraisal, &["report.certified_key"], Reason::Chain);
}

#[test]
fn a_clouds_key_from_the_chips_signer() {
    let strange = strange_platform(|chip| {
        let mut all = chip_extensions(chip, GENERATION).unwrap();
        for extension in &mut all {
            if extension.extn_id == vek::HW_ID {
                extension.extn_id = vek::CSP_ID;
                let name = [&[0x16, 16][..], CLOUD.as_bytes()].concat();
                extension.extn_value = der::asn1::OctetString::new(name).unwrap();
            }
        }
        all
    });
    let case = case(&strange);
    let mut report = strange.report(&case.report_data());
    report.key_info = 1 << 2;
    let raw = strange.sign(report.encode()).unwrap();
    let appraisal = case.judge_envelope(&case.envelope(raw));
    refused_by(&appraisal, &["chain.vek_signer"], Reason::Chain);
}

#[test]
fn a_certificate_of_both_kinds() {
    let strange = strange_platform(|chip| {
        let mut all = chip_extensions(chip, GENERATION).unwrap();
        let mut both = all.first().cloned().unwrap();
        both.extn_id = vek::CSP_ID;
        all.push(both);
        all
    });
    let case = case(&strange);
    refused_by(
        &judge(&case, &strange),
        &["chain.vek_extensions"],
        Reason::Chain,
    );
}
