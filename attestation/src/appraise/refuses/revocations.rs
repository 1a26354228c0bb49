//! Revocation lists.

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::OctetString;
use duckblind_protocol::ids::UnixTime;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use super::refused_by;
use crate::appraise::Appraisal;
use crate::attester::Attester;
use crate::evidence::Evidence;
use crate::reason::{Reason, Warning};
use crate::simulator::{Authority, GENERATION, RevocationList, chip_extensions};
use crate::testing::{Case, platform, strange_platform, stranger};

const DAY: u64 = 24 * 60 * 60;

/// A case whose policy trusts the stranger, and its honest evidence.
fn honest() -> (Case, Evidence) {
    let strange = strange_platform(|chip| chip_extensions(chip, GENERATION).unwrap());
    let case = Case::trusting(&strange);
    let raw = strange.attest(&case.report_data()).unwrap();
    let evidence = case.envelope(raw);
    (case, evidence)
}

/// An honest list but for `change`, signed by the stranger.
fn list(change: impl FnOnce(&mut RevocationList)) -> Vec<u8> {
    let mut list = Authority::first_list().unwrap();
    change(&mut list);
    stranger().crl(&list).unwrap()
}

fn judged(change: impl FnOnce(&mut RevocationList)) -> Appraisal {
    let (case, mut evidence) = honest();
    evidence.endorsements.crl = Some(list(change));
    case.judge_envelope(&evidence)
}

fn time(seconds: u64) -> Time {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    Time::try_from(time).unwrap()
}

fn now() -> u64 {
    u64::try_from(crate::testing::now().0).unwrap()
}

fn extension(oid: &str, critical: bool) -> Extension {
    Extension {
        extn_id: ObjectIdentifier::new(oid).unwrap(),
        critical,
        extn_value: OctetString::new([5, 0]).unwrap(),
    }
}

#[test]
fn an_honest_one_is_taken() {
    assert!(judged(|_| {}).result.is_ok());
}

#[test]
fn none_where_one_is_required() {
    let mut case = Case::good();
    let mut evidence = case.evidence();
    evidence.endorsements.crl = None;
    let appraisal = case.judge_envelope(&evidence);
    assert!(
        appraisal
            .result
            .unwrap()
            .warnings()
            .contains(&Warning::NoRevocation)
    );
    case.edit_policy("require_crl = false", "require_crl = true");
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["crl.given"], Reason::CollateralMissing);
    assert!(!appraisal.warnings.contains(&Warning::NoRevocation));
}

#[test]
fn damaged() {
    let case = Case::good();
    let honest = case.evidence();
    let len = honest.endorsements.crl.as_ref().unwrap().len();
    for at in 0..len {
        let mut evidence = honest.clone();
        let crl = evidence.endorsements.crl.as_mut().unwrap();
        *crl.get_mut(at).unwrap() ^= 1 << (at % 8);
        let appraisal = case.judge_envelope(&evidence);
        assert!(appraisal.result.is_err(), "byte {at}");
        assert!(appraisal.floors.crl_numbers.is_empty(), "byte {at}");
    }
    let mut evidence = honest;
    evidence.endorsements.crl.as_mut().unwrap().push(0);
    refused_by(
        &case.judge_envelope(&evidence),
        &["crl.format"],
        Reason::Chain,
    );
}

#[test]
fn of_another_root() {
    // The same name, another key.
    let (case, mut evidence) = honest();
    evidence.endorsements.crl = platform().attest(&[0; 64]).unwrap().endorsements.crl;
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["crl.signature"], Reason::Chain);
    assert!(appraisal.floors.crl_numbers.is_empty());
    // The right key, another name.
    let other = Name::from_der(&[0x30, 0]).unwrap();
    let appraisal = judged(|list| list.issuer = other);
    refused_by(&appraisal, &["crl.signature"], Reason::Chain);
}

#[test]
fn outside_of_its_time() {
    let stale = ["crl.validity"];
    let appraisal = judged(|list| list.next_update = Some(time(now() - 60)));
    refused_by(&appraisal, &stale, Reason::CrlStale);
    let appraisal = judged(|list| list.this_update = time(now() + DAY));
    refused_by(&appraisal, &stale, Reason::CrlStale);
    assert!(appraisal.floors.crl_numbers.is_empty());
    let appraisal = judged(|list| list.next_update = None);
    refused_by(&appraisal, &stale, Reason::CrlStale);
    assert_eq!(appraisal.collateral.window, None);
}

#[test]
fn to_the_second() {
    let (mut case, mut evidence) = honest();
    let (from, to) = (now() - 60, now() + 60);
    evidence.endorsements.crl = Some(list(|list| {
        list.this_update = time(from);
        list.next_update = Some(time(to));
    }));
    for (now, accepted) in [(from - 1, false), (from, true), (to, true), (to + 1, false)] {
        case.now = UnixTime(i64::try_from(now).unwrap());
        assert_eq!(case.judge_envelope(&evidence).result.is_ok(), accepted);
    }
    case.now = UnixTime(i64::try_from(from).unwrap());
    let appraised = case.judge_envelope(&evidence).result.unwrap();
    assert_eq!(
        appraised.valid_until(),
        UnixTime(i64::try_from(to).unwrap())
    );
}

#[test]
fn numbers_do_not_go_back() {
    let (mut case, mut evidence) = honest();
    let root = duckblind_protocol::ids::Digest::of(&stranger().ark_der);
    evidence.endorsements.crl = Some(list(|list| list.number = Some(7)));
    let appraisal = case.judge_envelope(&evidence);
    assert_eq!(appraisal.floors.crl_numbers, [(root, 7)].into());
    case.floors = appraisal.floors;
    assert!(case.judge_envelope(&evidence).result.is_ok());
    evidence.endorsements.crl = Some(list(|list| list.number = Some(6)));
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["crl.number"], Reason::CrlStale);
    assert_eq!(appraisal.floors, case.floors);
    // Numbers of other roots are another matter.
    case.floors.crl_numbers = [(platform().root(), 9)].into();
    assert!(case.judge_envelope(&evidence).result.is_ok());
}

#[test]
fn a_root_that_nobody_trusts_raises_no_floor() {
    let strange = strange_platform(|chip| chip_extensions(chip, GENERATION).unwrap());
    let case = Case::good();
    let raw = strange.attest(&case.report_data()).unwrap();
    let appraisal = case.judge_envelope(&case.envelope(raw));
    refused_by(&appraisal, &["chain.root"], Reason::Root);
    assert!(appraisal.floors.crl_numbers.is_empty());
}

#[test]
fn without_a_number() {
    let appraisal = judged(|list| list.number = None);
    refused_by(&appraisal, &["crl.format"], Reason::Chain);
}

/// The serial number of a certificate of the chain.
fn serial(der: &[u8]) -> SerialNumber {
    let certificate = x509_cert::Certificate::from_der(der).unwrap();
    certificate.tbs_certificate().serial_number().clone()
}

#[test]
fn each_certificate_of_the_chain() {
    let (case, evidence) = honest();
    let endorsements = &evidence.endorsements;
    for der in [&endorsements.ark, &endorsements.ask, &endorsements.vek] {
        let mut evidence = evidence.clone();
        evidence.endorsements.crl = Some(list(|list| {
            list.revoked = vec![
                SerialNumber::new(&[77]).unwrap(),
                serial(der.as_ref().unwrap()),
            ];
        }));
        let appraisal = case.judge_envelope(&evidence);
        refused_by(&appraisal, &["crl.revoked"], Reason::Revoked);
        assert!(appraisal.floors.crl_numbers.is_empty());
    }
    let appraisal = judged(|list| list.revoked = vec![SerialNumber::new(&[77]).unwrap()]);
    assert!(appraisal.result.is_ok());
}

#[test]
fn an_entry_that_names_another_issuer_counts() {
    let (case, mut evidence) = honest();
    let vek = serial(evidence.endorsements.vek.as_ref().unwrap());
    evidence.endorsements.crl = Some(list(|list| {
        list.revoked = vec![vek];
        list.entry_extensions = vec![extension("2.5.29.29", true)];
    }));
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["crl.revoked"], Reason::Revoked);
}

#[test]
fn extensions_that_nobody_here_knows() {
    let revoked = || vec![SerialNumber::new(&[77]).unwrap()];
    // Of a part of all certificates, of changes only; and twice the same.
    for oids in [&["2.5.29.28"][..], &["2.5.29.27"], &["1.2.3", "1.2.3"]] {
        let critical = oids.len() == 1;
        let all: Vec<_> = oids.iter().map(|oid| extension(oid, critical)).collect();
        let appraisal = judged(|list| list.extensions = all.clone());
        refused_by(&appraisal, &["crl.format"], Reason::Chain);
        let appraisal = judged(|list| {
            list.revoked = revoked();
            list.entry_extensions = all;
        });
        refused_by(&appraisal, &["crl.format"], Reason::Chain);
    }
    // Where it is said to be of no importance, it is none.
    let appraisal = judged(|list| {
        list.extensions = vec![extension("1.2.3", false)];
        list.revoked = revoked();
        list.entry_extensions = vec![extension("2.5.29.21", false)];
    });
    assert!(appraisal.result.is_ok());
}

#[test]
fn the_appraisers_own_goes_first() {
    let (mut case, mut evidence) = honest();
    let vek = serial(evidence.endorsements.vek.as_ref().unwrap());
    case.endorsements.crl = Some(list(|list| list.revoked = vec![vek]));
    evidence.endorsements.crl = Some(list(|_| {}));
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["crl.revoked"], Reason::Revoked);
}
