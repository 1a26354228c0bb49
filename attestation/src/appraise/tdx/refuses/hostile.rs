//! Evidence made to hurt: it must neither panic nor take long.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use x509_cert::serial_number::SerialNumber;

use super::documents::with_chain;
use super::*;
use crate::evidence::MAX_COLLATERAL;
use crate::tdx::{Quote, pem};

/// Judged in time, whatever the verdict: the best of three, as others may use the machine.
#[track_caller]
fn in_time(what: &str, judge: impl Fn() -> Appraisal) -> Appraisal {
    let timed = || {
        let began = Instant::now();
        let appraisal = judge();
        (began.elapsed(), appraisal)
    };
    let all = [timed(), timed(), timed()];
    let (took, appraisal) = all.into_iter().min_by_key(|(took, _)| *took).unwrap();
    assert!(took < Duration::from_millis(50), "{what}: {took:?}");
    appraisal
}

#[test]
fn long_revocation_lists() {
    let serials = (0..6_500u64).map(|number| SerialNumber::new(&number.to_be_bytes()).unwrap());
    let scene = Scene::twisted(|_, documents| documents.pck_crl.revoked = serials.collect());
    let evidence = scene.evidence();
    let len = evidence.endorsements.tdx.as_ref().unwrap().pck_crl.len();
    assert!(len > MAX_COLLATERAL / 2, "{len}");
    let bytes = evidence.encode();
    let appraisal = in_time("revoked", || scene.case.judge_bytes(&bytes));
    assert!(appraisal.result.is_ok());
}

#[test]
fn many_levels() {
    let scene = Scene::twisted(|_, documents| {
        let levels = documents.tcb_info["tcbLevels"].as_array_mut().unwrap();
        let mut higher = levels[0].clone();
        higher["tcb"]["pcesvn"] = json!(60_000);
        levels.extend(std::iter::repeat_n(higher, 400));
    });
    let evidence = scene.evidence();
    let len = evidence.endorsements.tdx.as_ref().unwrap().tcb_info.len();
    assert!(len > MAX_COLLATERAL / 2, "{len}");
    let bytes = evidence.encode();
    let appraisal = in_time("levels", || scene.case.judge_bytes(&bytes));
    assert!(appraisal.result.is_ok());
}

#[test]
fn long_texts() {
    let scene = Scene::good();
    let room = MAX_COLLATERAL / 2;
    let texts = [
        "[".repeat(room),
        " ".repeat(room),
        "-----BEGIN CERTIFICATE-----\n".repeat(room / 28),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(room / 59),
        "A".repeat(room),
    ];
    for text in texts {
        for place in 0..3 {
            let mut evidence = scene.evidence();
            let collateral = evidence.endorsements.tdx.as_mut().unwrap();
            match place {
                0 => collateral.tcb_info.clone_from(&text),
                1 => collateral.tcb_info_issuer_chain.clone_from(&text),
                _ => collateral.pck_certificate_chain = Some(text.clone()),
            }
            let bytes = evidence.encode();
            let appraisal = in_time(&text[..30], || scene.case.judge_bytes(&bytes));
            assert!(appraisal.result.is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What is read of a platform's certificate is read before anyone vouches for it.
    #[test]
    fn damaged_certificates(at in any::<prop::sample::Index>(), with in any::<u8>(), of in 0usize..3) {
        let scene = Scene::good();
        let evidence = scene.evidence();
        let mut chain = pem::decode(Quote::parse(&evidence.report).unwrap().pck_chain).unwrap();
        let at = at.index(chain[of].len());
        let before = std::mem::replace(&mut chain[of][at], with);
        let appraisal = with_chain(&scene, &pem::encode(&chain));
        prop_assert_eq!(appraisal.result.is_ok(), before == with);
    }

    #[test]
    fn damaged_documents(at in any::<prop::sample::Index>(), with in any::<char>(), of in 0..2) {
        let scene = Scene::good();
        let appraisal = scene.judge_collateral(|collateral| {
            let text = match of {
                0 => &mut collateral.tcb_info,
                _ => &mut collateral.qe_identity,
            };
            text.insert(at.index(text.len()), with);
        });
        prop_assert!(appraisal.result.is_err());
    }
}
