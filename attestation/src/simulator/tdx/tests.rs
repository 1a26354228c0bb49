//! Quotes and collateral under the eyes of `dcap-qvl`, and beside those of real machines.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::sync::OnceLock;

use dcap_qvl::quote::{AuthData, Quote, Report};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy, TcbStatus};
use der::Decode as _;
use duckblind_protocol::ids::UnixTime;
use serde_json::json;

use super::super::MARKER;
use super::*;
use crate::tdx::crypto::QvlConfig;
use crate::testing::{now, platform_dir};
use crate::vectors;

/// Where a quote's signature begins, and where what is not signed at all.
const SIGNATURE: usize = 636;
const UNSIGNED: usize = 764;

fn platform() -> &'static SimulatedTdx {
    static PLATFORM: OnceLock<SimulatedTdx> = OnceLock::new();
    PLATFORM.get_or_init(|| SimulatedTdx::open(platform_dir()).unwrap())
}

fn collateral(evidence: &RawEvidence) -> QuoteCollateralV3 {
    let of = evidence.endorsements.tdx.clone().unwrap();
    QuoteCollateralV3 {
        pck_crl_issuer_chain: of.pck_crl_issuer_chain,
        root_ca_crl: of.root_ca_crl,
        pck_crl: of.pck_crl,
        tcb_info_issuer_chain: of.tcb_info_issuer_chain,
        tcb_info: of.tcb_info,
        tcb_info_signature: of.tcb_info_signature,
        qe_identity_issuer_chain: of.qe_identity_issuer_chain,
        qe_identity: of.qe_identity,
        qe_identity_signature: of.qe_identity_signature,
        pck_certificate_chain: of.pck_certificate_chain,
    }
}

fn verify_at(
    platform: &SimulatedTdx,
    evidence: &RawEvidence,
    now: UnixTime,
) -> Result<QuoteClaims, String> {
    let now = u64::try_from(now.0).unwrap();
    let policy = QuotePolicy::strict(now)
        .allow_dynamic_platform(true)
        .allow_cached_keys(true)
        .allow_smt(true);
    QuoteVerifier::<QvlConfig>::new_with_config(platform.root_der().to_vec())
        .verify_with_policy(&evidence.report, collateral(evidence), now, &policy)
        .map_err(|e| format!("{e:#}"))
}

fn verify(platform: &SimulatedTdx, evidence: &RawEvidence) -> Result<QuoteClaims, String> {
    verify_at(platform, evidence, now())
}

/// A platform of another Intel's, whose documents `change` may twist.
fn strange(change: impl FnOnce(&mut Machine, &mut Documents)) -> SimulatedTdx {
    let authority = Authority::generate().unwrap();
    let mut machine = Machine::random().unwrap();
    let mut documents = Documents::up_to_date(&machine).unwrap();
    change(&mut machine, &mut documents);
    SimulatedTdx::made_by(&authority, &machine, &documents, platform().measurement()).unwrap()
}

#[test]
fn what_was_put_in_comes_out() {
    let evidence = platform().attest(&[7; 64]).unwrap();
    let quote = Quote::parse(&evidence.report).unwrap();
    assert_eq!(quote.header.version, 4);
    assert_eq!(quote.report, Report::TD10(platform().report(&[7; 64])));
    let AuthData::V4(signatures) = quote.auth_data else {
        unreachable!("version 4 has these");
    };
    assert_eq!(signatures.certification_data.cert_type, 6);
    let certified = signatures.qe_report_data;
    assert_eq!(certified.certification_data.cert_type, 5);
    // To the last byte, with nothing after it.
    let len = u32::from_le_bytes(evidence.report[632..636].try_into().unwrap());
    assert_eq!(evidence.report.len(), 636 + usize::try_from(len).unwrap());
    assert_eq!(evidence.report.last(), Some(&0));
}

#[test]
fn it_verifies() {
    let evidence = platform().attest(&[7; 64]).unwrap();
    let claims = verify(platform(), &evidence).unwrap();
    assert_eq!(claims.tcb.status, TcbStatus::UpToDate);
    assert_eq!(claims.report, Report::TD10(platform().report(&[7; 64])));
    // And for long.
    let in_19_years = UnixTime(now().0 + 19 * 365 * 86_400);
    assert!(verify_at(platform(), &evidence, in_19_years).is_ok());
}

#[test]
fn every_signed_byte_counts() {
    let evidence = platform().attest(&[7; 64]).unwrap();
    for at in (0..UNSIGNED).step_by(5) {
        let mut changed = evidence.clone();
        changed.report[at] ^= 1;
        assert!(verify(platform(), &changed).is_err(), "{at}");
    }
    for change in [
        |c: &mut TdxCollateral| c.tcb_info.push(' '),
        |c: &mut TdxCollateral| c.qe_identity.push(' '),
        |c: &mut TdxCollateral| c.root_ca_crl[60] ^= 1,
        |c: &mut TdxCollateral| c.pck_crl[60] ^= 1,
    ] {
        let mut changed = evidence.clone();
        change(changed.endorsements.tdx.as_mut().unwrap());
        assert!(verify(platform(), &changed).is_err());
    }
}

#[test]
fn another_root() {
    let stranger = strange(|_, _| ());
    let evidence = stranger.attest(&[7; 64]).unwrap();
    assert!(verify(&stranger, &evidence).is_ok());
    assert!(verify(platform(), &evidence).is_err());
}

#[test]
fn changed_reports_are_signed_as_they_are() {
    let mut report = platform().report(&[0; 64]);
    report.td_attributes[0] = 1;
    let evidence = platform().sign(&report).unwrap();
    let error = verify(platform(), &evidence).unwrap_err();
    assert!(error.contains("Debug"), "{error}");
}

#[test]
fn twisted_documents_are_signed_as_they_are() {
    let fails = |change: &dyn Fn(&mut Machine, &mut Documents), why: &str| {
        let platform = strange(change);
        let evidence = platform.attest(&[0; 64]).unwrap();
        let error = verify(&platform, &evidence).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    fails(
        &|_, documents| documents.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("OutOfDate"),
        "OutOfDate",
    );
    fails(
        &|_, documents| documents.qe_identity["isvprodid"] = json!(1),
        "ISV",
    );
    fails(&|machine, _| machine.fmspc = [1; 6], "Fmspc");
    fails(
        &|_, documents| documents.pck_crl.next_update = Some(documents.pck_crl.this_update),
        "Expired",
    );
}

#[test]
fn each_boot_has_a_key_of_its_own() {
    let boots = [0, 1].map(|_| SimulatedTdx::open(platform_dir()).unwrap());
    let [a, b] = boots.map(|boot| boot.attest(&[0; 64]).unwrap().report);
    assert_eq!(a[..SIGNATURE], b[..SIGNATURE]);
    assert_ne!(a[SIGNATURE + 64..UNSIGNED], b[SIGNATURE + 64..UNSIGNED]);
}

#[test]
fn certificates_say_what_they_are() {
    let evidence = platform().attest(&[0; 64]).unwrap();
    let collateral = evidence.endorsements.tdx.unwrap();
    let quote = Quote::parse(&evidence.report).unwrap();
    let chain = String::from_utf8(quote.raw_cert_chain().unwrap().to_vec()).unwrap();
    let all = [
        chain.trim_end_matches('\0'),
        &collateral.pck_crl_issuer_chain,
        &collateral.tcb_info_issuer_chain,
        &collateral.qe_identity_issuer_chain,
    ];
    let certificates: Vec<Vec<u8>> = all.iter().flat_map(|text| ders(text)).collect();
    assert_eq!(certificates.len(), 3 + 2 + 2 + 2);
    for der in &certificates {
        let found = der
            .windows(MARKER.len())
            .filter(|window| *window == MARKER.as_bytes())
            .count();
        assert_eq!(found, 2, "issuer and subject");
    }
    assert_eq!(certificates[2], platform().root_der());
}

/// The certificates of a PEM text.
fn ders(text: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|part| {
            let (body, _) = part.split_once("-----END CERTIFICATE-----").unwrap();
            let body: String = body.split_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(body)
                .unwrap()
        })
        .collect()
}

#[test]
fn the_event_log_leads_to_the_registers() {
    let evidence = platform().attest(&[0; 64]).unwrap();
    let log = evidence.event_log.unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
    assert_eq!((u32_at(4), &log[32..47]), (3, &b"Spec ID Event03"[..]));
    let mut at = 32 + usize::try_from(u32_at(28)).unwrap();
    let mut registers = [[0; 48]; 4];
    let mut events = 0;
    while u32_at(at) != u32::MAX {
        assert_eq!((u32_at(at + 8), log[at + 12]), (1, 0x0c));
        let register = &mut registers[usize::try_from(u32_at(at)).unwrap() - 1];
        *register = AwsLc::sha384(&[&register[..], &log[at + 14..at + 62]].concat());
        at += 66 + usize::try_from(u32_at(at + 62)).unwrap();
        events += 1;
    }
    assert!(log[at..].iter().all(|byte| *byte == 0xff));
    assert_eq!(events, 7);
    let report = platform().report(&[0; 64]);
    assert_eq!(
        registers,
        [report.rt_mr0, report.rt_mr1, report.rt_mr2, report.rt_mr3]
    );
    assert_eq!(registers.map(Measurement::from_bytes), platform().rtmrs());
    assert_eq!(report.rt_mr3, [0; 48]);
    assert_eq!(report.mr_td, *platform().measurement().as_bytes());
}

fn real(name: &str) -> Option<Vec<u8>> {
    let folder = vectors::folder("tdx")?;
    Some(fs::read(folder.join("normalized").join(name)).unwrap())
}

#[test]
fn the_layout_is_that_of_real_quotes() {
    let Some(real) = real("Phala-Network_dcap-qvl__tdx_quote.quote.bin") else {
        return;
    };
    let ours = platform().attest(&[0; 64]).unwrap().report;
    // Header but for the machine's name, switches of the guest, what Intel's enclave writes, and
    // the kinds of certification data.
    for range in [0..28, 44..48, 168..184, 764..766, 1218..1254] {
        assert_eq!(ours[range.clone()], real[range.clone()], "{range:?}");
    }
}

#[test]
fn the_extension_is_that_of_a_real_machine() {
    let Some(quote) = real("Phala-Network_dcap-qvl__tdx_quote.quote.bin") else {
        return;
    };
    let quote = Quote::parse(&quote).unwrap();
    let leaf = dcap_qvl::intel::extract_cert_chain(&quote)
        .unwrap()
        .remove(0);
    let machine = dcap_qvl::intel::parse_pck_extension_with::<QvlConfig>(&leaf).unwrap();
    let certificate = x509_cert::Certificate::from_der(&leaf).unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap();
    let ours = Machine {
        ppid: machine.ppid.try_into().unwrap(),
        instance: machine.platform_instance_id.unwrap().try_into().unwrap(),
        fmspc: machine.fmspc,
        cpu_svn: machine.cpu_svn,
        pce_svn: machine.pce_svn,
        dynamic: true,
        cached_keys: true,
        smt: true,
    };
    let ours = ours.extension().unwrap();
    assert!(extensions.contains(&ours), "{ours:?}");
}
