//! Saved receipts of a simulated enclave, whole and changed.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::ids::JobId;
use duckblind_protocol::receipt::Outcome;

use super::*;
use crate::client::Attested;
use crate::testing::{Scene, signing_key};

type Change = (&'static str, fn(&mut SavedReceipt));

struct Case {
    trust: Trust,
    saved: SavedReceipt,
    dir: tempfile::TempDir,
}

fn receipt(scene: &Scene) -> JobReceipt {
    JobReceipt {
        v: 1,
        job: JobId::from_bytes([1; 16]),
        key_statement: scene.statement().digest(),
        order: Digest::of(b"order"),
        manifests: vec![],
        outcome: Outcome::Ok,
        chunks: 2,
        bytes: 100,
        transcript: Digest::of(b"transcript"),
        accepted_ms: 3,
        ended_ms: 9,
        sim: true,
    }
}

fn save(scene: &Scene, receipt: &SignedReceipt) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let trust = scene.trust(dir.path(), true);
    let attested: Attested = scene.presented().admit(&trust).unwrap();
    let node = NodeId::from_bytes([5; 32]);
    let saved = SavedReceipt::new(&trust, &node, &attested, receipt).unwrap();
    Case { trust, saved, dir }
}

fn honest() -> Case {
    let scene = Scene::good();
    save(
        &scene,
        &SignedReceipt::sign(&scene.instance, &receipt(&scene)),
    )
}

#[test]
fn a_receipt_holds_after_its_attestation_result_has_ended() {
    let mut scene = Scene::good();
    scene.lifetime_seconds = 1;
    let signed = SignedReceipt::sign(&scene.instance, &receipt(&scene));
    let Case { trust, saved, dir } = save(&scene, &signed);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let path = dir.path().join("r.json");
    saved.save(&path).unwrap();
    let verified = SavedReceipt::load(&path).unwrap().verify(&trust).unwrap();
    assert_eq!(verified.receipt.job, JobId::from_bytes([1; 16]));
    assert_eq!(verified.at, scene.at);
}

#[test]
fn changed_receipts_are_refused() {
    let changes: [Change; 6] = [
        ("DB-REQ-082", |s| s.policy.push('#')),
        ("DB-REQ-080", |s| s.ear_jwt = "x".into()),
        ("DB-REQ-080", |s| s.evidence = "not base64".into()),
        ("DB-ATT-052", |s| {
            let mut bytes = BASE64.decode(&s.ear_cose).unwrap();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            s.ear_cose = BASE64.encode(bytes);
        }),
        ("DB-REQ-022", |s| {
            s.requester_nonce = Some(Nonce::from_bytes([1; 32]));
        }),
        ("DB-PRO-061", |s| s.job_receipt = BASE64.encode(b"x")),
    ];
    for (code, change) in changes {
        let Case {
            trust, mut saved, ..
        } = honest();
        change(&mut saved);
        assert_eq!(saved.verify(&trust).unwrap_err().code(), code);
    }
}

#[test]
fn evidence_with_a_flipped_byte_is_refused() {
    let Case {
        trust, mut saved, ..
    } = honest();
    let mut bytes = BASE64.decode(&saved.evidence).unwrap();
    let at = bytes.len() / 3;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    saved.evidence = BASE64.encode(bytes);
    assert_eq!(saved.verify(&trust).unwrap_err().exit(), Exit::Rejected);
}

#[test]
fn receipts_of_other_keys_are_refused() {
    let scene = Scene::good();
    let forged = SignedReceipt::sign(&signing_key(66), &receipt(&scene));
    let saved = save(&scene, &forged);
    assert_eq!(
        saved.saved.verify(&saved.trust).unwrap_err().code(),
        "DB-PRO-060"
    );

    let mut foreign = receipt(&scene);
    foreign.key_statement = Digest::of(b"another epoch");
    let saved = save(&scene, &SignedReceipt::sign(&scene.instance, &foreign));
    assert_eq!(
        saved.saved.verify(&saved.trust).unwrap_err().code(),
        "DB-REQ-083"
    );

    let mut real = receipt(&scene);
    real.sim = false;
    let saved = save(&scene, &SignedReceipt::sign(&scene.instance, &real));
    assert_eq!(
        saved.saved.verify(&saved.trust).unwrap_err().code(),
        "DB-REQ-083"
    );
}

#[test]
fn trust_of_today_decides() {
    let Case { saved, dir, .. } = honest();
    // The same policy and signer, but a platform that only simulates is no longer accepted.
    let strict = Scene::good().trust(dir.path(), false);
    assert_eq!(saved.verify(&strict).unwrap_err().code(), "DB-REQ-025");
}
