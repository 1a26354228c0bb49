//! Certificates and Intel's documents.

use duckblind_protocol::ids::UnixTime;
use serde_json::json;

use super::*;
use crate::tdx::{Quote, pem};

const CHAIN: &[Reason] = &[Reason::Chain];
const STALE: &[Reason] = &[Reason::CrlStale];
const DAY: i64 = 24 * 60 * 60;

#[test]
fn no_documents() {
    let scene = Scene::good();
    let appraisal = scene.judge_changed(|evidence| evidence.endorsements.tdx = None);
    refused_by(&appraisal, &["collateral"], &[Reason::CollateralMissing]);
    assert!(appraisal.collateral.window.is_none());
    // The appraiser's own go before those that come with the evidence.
    let mut own = Scene::good();
    own.case.endorsements = own.evidence().endorsements;
    let appraisal = own.judge_changed(|evidence| evidence.endorsements.tdx = None);
    assert!(appraisal.result.is_ok());
    let appraisal = own.judge_collateral(|collateral| collateral.tcb_info.clear());
    assert!(appraisal.result.is_ok());
}

#[test]
fn another_copy_of_the_chain() {
    let scene = Scene::good();
    let evidence = scene.evidence();
    let chain = Quote::parse(&evidence.report).unwrap().pck_chain.to_vec();
    let own = String::from_utf8(chain).unwrap();
    let other = strange(|_, _| ())
        .sign(&platform().report(&[0; 64]))
        .unwrap()
        .report;
    let other = Quote::parse(&other).unwrap().pck_chain.to_vec();
    let other = String::from_utf8(other).unwrap();
    let with = |chain: &str| {
        scene.judge_collateral(|collateral| {
            collateral.pck_certificate_chain = Some(chain.to_owned());
        })
    };
    assert!(with(&own).result.is_ok());
    assert!(with(own.trim_end_matches('\0')).result.is_ok());
    for chain in [other.as_str(), "", "-----BEGIN CERTIFICATE-----\n"] {
        refused_by(&with(chain), &["chain.collateral"], CHAIN);
    }
}

/// Judges a quote that carries this text as its chain. Lengths fit.
pub(super) fn with_chain(scene: &Scene, chain: &str) -> Appraisal {
    scene.judge_changed(|evidence| {
        let report = &mut evidence.report;
        let old = Quote::parse(report).unwrap().pck_chain.len();
        for at in [632, 766, 1254] {
            let length = u32::from_le_bytes(report[at..at + 4].try_into().unwrap());
            let length = usize::try_from(length).unwrap() + chain.len() - old;
            let length = u32::try_from(length).unwrap();
            report[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
        report.truncate(report.len() - old);
        report.extend(chain.as_bytes());
    })
}

#[test]
fn chains_in_other_forms() {
    let scene = Scene::good();
    let evidence = scene.evidence();
    let quote = Quote::parse(&evidence.report).unwrap();
    let chain = pem::decode_canonical(quote.pck_chain).unwrap();
    let with = |chain: &str| with_chain(&scene, chain);
    let own = pem::encode(&chain);
    assert!(with(&own).result.is_ok());
    for form in [
        format!("{own}\n"),
        format!("{own}\0\0"),
        format!("{own} "),
        own.replacen('\n', "\r\n", 1),
        format!("\n{own}"),
    ] {
        refused_by(&with(&form), &["chain.format"], &[Reason::Format]);
    }
    for fewer in [&chain[..1], &chain[..2], &chain[1..]] {
        refused_by(&with(&pem::encode(fewer)), &["chain.certificates"], CHAIN);
    }
    let damaged = [&chain[0][..100], &chain[1], &chain[2]];
    refused_by(
        &with(&pem::encode(&damaged)),
        &["chain.certificates"],
        CHAIN,
    );
    // The signer of TCB info in the place of a platform's key: the root's, but of no platform.
    let collateral = evidence.endorsements.tdx.as_ref().unwrap();
    let signer = pem::decode(collateral.tcb_info_issuer_chain.as_bytes()).unwrap();
    let appraisal = with(&pem::encode(&[&signer[0], &chain[1], &chain[2]]));
    refused_by(&appraisal, &["chain.pck_extension", "verify.chains"], CHAIN);
    // In another order.
    let turned = [&chain[1], &chain[0], &chain[2]];
    let appraisal = with(&pem::encode(&turned));
    assert!(
        appraisal
            .result
            .unwrap_err()
            .reasons
            .contains(&Reason::Chain)
    );
    // Certified by nobody's platform authority.
    let other = strange(|_, _| ())
        .sign(&platform().report(&[0; 64]))
        .unwrap()
        .report;
    let other = pem::decode(Quote::parse(&other).unwrap().pck_chain).unwrap();
    let mixed = [&other[0], &other[1], &chain[2]];
    let appraisal = with(&pem::encode(&mixed));
    assert!(
        appraisal
            .result
            .unwrap_err()
            .reasons
            .contains(&Reason::Chain)
    );
}

#[test]
fn signers_of_another_root() {
    let scene = Scene::good();
    let strange = strange(|_, _| ())
        .sign(&platform().report(&[0; 64]))
        .unwrap();
    let strange = strange.endorsements.tdx.unwrap();
    let root = [Reason::Root, Reason::Chain];
    let appraisal = scene.judge_collateral(|collateral| {
        collateral
            .tcb_info_issuer_chain
            .clone_from(&strange.tcb_info_issuer_chain);
    });
    refused_by(
        &appraisal,
        &["collateral.tcb_info_root", "verify.chains"],
        &root,
    );
    let appraisal = scene.judge_collateral(|collateral| {
        collateral
            .qe_identity_issuer_chain
            .clone_from(&strange.qe_identity_issuer_chain);
    });
    refused_by(
        &appraisal,
        &["collateral.qe_identity_root", "verify.chains"],
        &root,
    );
    let appraisal = scene.judge_collateral(|collateral| {
        collateral
            .pck_crl_issuer_chain
            .clone_from(&strange.pck_crl_issuer_chain);
    });
    refused_by(&appraisal, &["collateral.pck_crl_root"], &[Reason::Root]);
}

#[test]
fn signers_that_are_not_there() {
    let scene = Scene::good();
    let appraisal = scene.judge_collateral(|collateral| collateral.tcb_info_issuer_chain.clear());
    refused_by(
        &appraisal,
        &["collateral.tcb_info_signer", "verify.chains"],
        CHAIN,
    );
    let appraisal = scene.judge_collateral(|collateral| {
        collateral.qe_identity_issuer_chain = "no certificates".into();
    });
    refused_by(
        &appraisal,
        &["collateral.qe_identity_signer", "verify.chains"],
        CHAIN,
    );
    let appraisal = scene.judge_collateral(|collateral| collateral.pck_crl_issuer_chain.clear());
    refused_by(&appraisal, &["collateral.pck_crl_signer"], CHAIN);
    // A third certificate.
    let appraisal = scene.judge_collateral(|collateral| {
        let chain = pem::decode(collateral.tcb_info_issuer_chain.as_bytes()).unwrap();
        let longer = [&chain[0], &chain[0], &chain[1]];
        collateral.tcb_info_issuer_chain = pem::encode(&longer);
    });
    refused_by(&appraisal, &["collateral.tcb_info_signer"], CHAIN);
}

#[test]
fn signatures() {
    let scene = Scene::good();
    let appraisal = scene.judge_collateral(|collateral| collateral.tcb_info_signature[0] ^= 1);
    refused_by(&appraisal, &["verify.tcb_info_signature"], CHAIN);
    let appraisal = scene.judge_collateral(|collateral| collateral.qe_identity_signature[0] ^= 1);
    refused_by(&appraisal, &["verify.qe_identity_signature"], CHAIN);
    let last = |crl: &mut Vec<u8>| *crl.last_mut().unwrap() ^= 1;
    let appraisal = scene.judge_collateral(|collateral| last(&mut collateral.root_ca_crl));
    refused_by(&appraisal, &["verify.chains"], CHAIN);
    let appraisal = scene.judge_collateral(|collateral| last(&mut collateral.pck_crl));
    refused_by(&appraisal, &["verify.chains"], CHAIN);
    // Of the quote, of the quoting enclave's report, and the attestation key between them.
    let flipped = |at: usize| scene.judge_changed(|evidence| evidence.report[at] ^= 1);
    refused_by(&flipped(640), &["verify.signature"], &[Reason::Signature]);
    refused_by(
        &flipped(705),
        &["verify.attestation_key"],
        &[Reason::Signature],
    );
    refused_by(
        &flipped(1160),
        &["verify.qe_signature"],
        &[Reason::Signature],
    );
    refused_by(
        &flipped(1225),
        &["verify.attestation_key"],
        &[Reason::Signature],
    );
    // The report itself.
    refused_by(
        &flipped(775),
        &["verify.qe_signature"],
        &[Reason::Signature],
    );
    refused_by(&flipped(30), &["verify.signature"], &[Reason::Signature]);
}

#[test]
fn a_signature_of_another_quote() {
    let scene = Scene::good();
    let other = scene.lie(|report| report.mr_owner = [1; 48]);
    let appraisal = scene.judge_changed(|evidence| {
        evidence.report.truncate(632);
        evidence.report.extend(&other.report[632..]);
    });
    refused_by(&appraisal, &["verify.signature"], &[Reason::Signature]);
}

#[test]
fn quoting_enclaves_of_others() {
    let scene = Scene::twisted(|_, documents| documents.qe_identity["isvprodid"] = json!(1));
    refused_by(&scene.judge(), &["verify.quoting_enclave"], CHAIN);
    let scene = Scene::twisted(|_, documents| {
        documents.qe_identity["mrsigner"] = json!("00".repeat(32));
    });
    refused_by(&scene.judge(), &["verify.quoting_enclave"], CHAIN);
}

#[test]
fn documents_for_something_else() {
    let scene = Scene::twisted(|machine, _| machine.fmspc = [1; 6]);
    refused_by(&scene.judge(), &["collateral.fmspc", "verify.kinds"], CHAIN);
    let scene = Scene::twisted(|_, documents| documents.tcb_info["pceId"] = json!("0001"));
    refused_by(&scene.judge(), &["collateral.pce_id"], CHAIN);
    let scene = Scene::twisted(|_, documents| documents.tcb_info["id"] = json!("SGX"));
    refused_by(
        &scene.judge(),
        &["collateral.tcb_info_kind", "verify.kinds"],
        CHAIN,
    );
    let scene = Scene::twisted(|_, documents| documents.tcb_info["version"] = json!(4));
    refused_by(&scene.judge(), &["collateral.tcb_info_kind"], CHAIN);
    let scene = Scene::twisted(|_, documents| documents.qe_identity["id"] = json!("QE"));
    refused_by(
        &scene.judge(),
        &["collateral.qe_identity_kind", "verify.kinds"],
        CHAIN,
    );
    let scene = Scene::twisted(|_, documents| documents.qe_identity["version"] = json!(9));
    refused_by(
        &scene.judge(),
        &["collateral.qe_identity_kind", "verify.kinds"],
        CHAIN,
    );
}

#[test]
fn documents_that_are_none() {
    let scene = Scene::twisted(|_, documents| documents.tcb_info["tcbLevels"] = json!(7));
    let failed = ["collateral.tcb_info", "verify.format"];
    refused_by(&scene.judge(), &failed, &[Reason::Format]);
    let scene = Scene::twisted(|_, documents| documents.qe_identity["tcbLevels"] = json!(7));
    let failed = ["collateral.qe_identity", "verify.format"];
    refused_by(&scene.judge(), &failed, &[Reason::Format]);
    let scene = Scene::twisted(|_, documents| documents.tcb_info["nextUpdate"] = json!("soon"));
    let failed = ["collateral.tcb_info_time", "verify.format"];
    refused_by(&scene.judge(), &failed, &[Reason::Format]);
}

#[test]
fn security_versions_below_all_levels() {
    let scene = Scene::twisted(|machine, _| machine.cpu_svn[0] = 0);
    let appraisal = scene.judge();
    refused_by(
        &appraisal,
        &["tcb.level", "verify.tcb_level"],
        &[Reason::TcbStatus],
    );
    let checks = appraisal.checks.iter();
    let level = checks.filter(|check| check.name == "tcb.level");
    let got: Vec<_> = level.map(|check| check.got.as_str()).collect();
    assert_eq!(got, ["Sgx(0) is 0, needs 3"]);
    let scene = Scene::twisted(|machine, _| machine.pce_svn = 5);
    let failed = ["tcb.level", "verify.tcb_level"];
    refused_by(&scene.judge(), &failed, &[Reason::TcbStatus]);
    let lower = |change: fn(&mut TDReport10)| Scene::good().judge_lie(change);
    let appraisal = lower(|report| report.tee_tcb_svn[2] = 0);
    refused_by(&appraisal, &failed, &[Reason::TcbStatus]);
    // Versions of the module are judged by its own levels.
    let appraisal = lower(|report| report.tee_tcb_svn[0] = 0);
    refused_by(&appraisal, &["verify.tcb_level"], &[Reason::TcbStatus]);
    let appraisal = lower(|report| report.tee_tcb_svn[1] = 9);
    refused_by(&appraisal, &["verify.tcb_level"], &[Reason::TcbStatus]);
}

fn text(seconds: i64) -> String {
    time(seconds).to_date_time().to_string()
}

fn time(seconds: i64) -> x509_cert::time::Time {
    let seconds = std::time::Duration::from_secs(u64::try_from(seconds).unwrap());
    der::DateTime::from_unix_duration(seconds).unwrap().into()
}

#[test]
fn documents_of_another_time() {
    let now = crate::testing::now().0;
    let failed = ["collateral.tcb_info_time", "verify.collateral_times"];
    for (key, date) in [("issueDate", now + DAY), ("nextUpdate", now - DAY)] {
        let date = json!(text(date));
        let scene = Scene::twisted(|_, documents| documents.tcb_info[key] = date);
        refused_by(&scene.judge(), &failed, &[Reason::Validity]);
    }
    let failed = ["collateral.qe_identity_time", "verify.collateral_times"];
    for (key, date) in [("issueDate", now + DAY), ("nextUpdate", now - DAY)] {
        let date = json!(text(date));
        let scene = Scene::twisted(|_, documents| documents.qe_identity[key] = date);
        refused_by(&scene.judge(), &failed, &[Reason::Validity]);
    }
    // The earliest end of all is that of the verdict.
    let date = text(now + DAY);
    let scene = Scene::twisted(|_, documents| documents.qe_identity["nextUpdate"] = json!(date));
    let accepted = scene.judge().result.unwrap();
    assert_eq!(accepted.valid_until(), UnixTime(now + DAY));
}

#[test]
fn certificates_of_another_time() {
    let mut scene = Scene::good();
    let now = scene.case.now.0;
    for now in [
        i64::MIN,
        -1,
        0,
        now - 400 * DAY,
        now + 40 * 365 * DAY,
        i64::MAX,
    ] {
        scene.case.now = UnixTime(now);
        let appraisal = scene.judge();
        let failed = |name| {
            let mut checks = appraisal.checks.iter();
            checks.any(|check| check.name == name && check.outcome == Outcome::Fail)
        };
        for name in [
            "chain.pck_validity",
            "chain.ca_validity",
            "chain.root_validity",
            "collateral.pck_crl_signer_validity",
            "collateral.tcb_info_signer_validity",
            "collateral.qe_identity_signer_validity",
        ] {
            assert!(failed(name), "{name} {now}");
        }
        assert!(appraisal.result.is_err());
    }
}

/// Everything else is of that time.
#[test]
fn certificates_alone_of_another_time() {
    let now = crate::testing::now().0;
    let (then, later) = (now + 50 * 365 * DAY, now + 60 * 365 * DAY);
    let mut scene = Scene::twisted(|_, documents| {
        documents.root_crl.next_update = Some(time(later));
        documents.pck_crl.next_update = Some(time(later));
        documents.tcb_info["nextUpdate"] = json!(text(later));
        documents.qe_identity["nextUpdate"] = json!(text(later));
    });
    assert!(scene.judge().result.is_ok());
    scene.case.now = UnixTime(then);
    let failed = [
        "chain.pck_validity",
        "chain.ca_validity",
        "chain.root_validity",
        "collateral.pck_crl_signer_validity",
        "collateral.tcb_info_signer_validity",
        "collateral.qe_identity_signer_validity",
        "verify.certificate_times",
    ];
    refused_by(&scene.judge(), &failed, &[Reason::Validity]);
}

#[test]
fn stale_revocation_lists() {
    let past = time(crate::testing::now().0 - 1);
    let scene = Scene::twisted(|_, documents| documents.root_crl.next_update = Some(past));
    let failed = ["collateral.root_crl_time", "verify.revocation_times"];
    refused_by(&scene.judge(), &failed, STALE);
    let scene = Scene::twisted(|_, documents| documents.pck_crl.next_update = Some(past));
    let failed = ["collateral.pck_crl_time", "verify.revocation_times"];
    refused_by(&scene.judge(), &failed, STALE);
    let scene = Scene::twisted(|_, documents| documents.root_crl.next_update = None);
    let reasons = scene.judge().result.unwrap_err().reasons;
    assert!(reasons.contains(&Reason::CrlStale));
    let scene = Scene::twisted(|_, documents| documents.pck_crl.number = None);
    let failed = ["collateral.pck_crl", "verify.chains"];
    refused_by(&scene.judge(), &failed, &[Reason::CrlStale, Reason::Chain]);
}

#[test]
fn revocation_lists_older_than_one_seen_before() {
    let seen = Scene::good().judge().floors;
    for (issuer, number) in &seen.crl_numbers {
        let mut scene = Scene::good();
        scene.case.floors.crl_numbers = [(*issuer, number + 1)].into();
        let name = if *issuer == platform().root() {
            "collateral.root_crl_number"
        } else {
            "collateral.pck_crl_number"
        };
        refused_by(&scene.judge(), &[name], STALE);
    }
    let mut scene = Scene::good();
    scene.case.floors = seen;
    assert!(scene.judge().result.is_ok());
}

#[test]
fn revocation_lists_of_others() {
    let scene = Scene::twisted(|_, documents| {
        let issuer = documents.pck_crl.issuer.clone();
        documents.root_crl.issuer = issuer;
    });
    refused_by(&scene.judge(), &["verify.chains"], CHAIN);
    let appraisal = Scene::good().judge_collateral(|collateral| {
        collateral.pck_crl.clone_from(&collateral.root_ca_crl);
    });
    refused_by(&appraisal, &["verify.chains"], CHAIN);
    let appraisal = Scene::good().judge_collateral(|collateral| collateral.pck_crl.clear());
    let failed = ["collateral.pck_crl", "verify.chains"];
    refused_by(
        &appraisal,
        &failed,
        &[Reason::CollateralMissing, Reason::Chain],
    );
    let appraisal = Scene::good().judge_collateral(|collateral| collateral.root_ca_crl = vec![1]);
    refused_by(&appraisal, &["collateral.root_crl", "verify.chains"], CHAIN);
}

/// Each certificate in turn, on the list of whoever issued it.
#[test]
fn revoked_certificates() {
    let authority = Authority::generate().unwrap();
    let machine = Machine::random().unwrap();
    let honest = Documents::up_to_date(&machine).unwrap();
    let platform =
        SimulatedTdx::made_by(&authority, &machine, &honest, platform().measurement()).unwrap();
    let scene = Scene::on(Box::leak(Box::new(platform)));
    let evidence = scene.evidence();
    let chain = pem::decode(Quote::parse(&evidence.report).unwrap().pck_chain).unwrap();
    let signer = evidence.endorsements.tdx.unwrap().tcb_info_issuer_chain;
    let signer = pem::decode(signer.as_bytes()).unwrap().remove(0);
    let cases = [
        (&chain[0], false, "chain.pck_revoked"),
        (&chain[1], true, "chain.signers_revoked"),
        (&chain[2], true, "chain.signers_revoked"),
        (&signer, true, "chain.signers_revoked"),
    ];
    for (certificate, by_root, name) in cases {
        let parsed: x509_cert::Certificate = der::Decode::from_der(certificate).unwrap();
        let serial = parsed.tbs_certificate().serial_number().clone();
        let mut documents = honest.clone();
        if by_root {
            documents.root_crl.revoked.push(serial);
        } else {
            documents.pck_crl.revoked.push(serial);
        }
        let twisted = authority.collateral(&documents).unwrap();
        let appraisal = scene.judge_collateral(|collateral| *collateral = twisted);
        refused_by(&appraisal, &[name, "verify.revocation"], &[Reason::Revoked]);
    }
}
