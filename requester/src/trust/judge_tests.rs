//! One accepted scene, and one mutation per thing that must be refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use duckblind_protocol::coded::{Coded as _, Exit};
use duckblind_protocol::ids::{Digest, Nonce, PublicKey, UnixTime};

use super::*;
use crate::client::Presented;
use crate::testing::{Scene, signing_key};
use crate::trust::UnloggedKey;

fn judge_scene(scene: &Scene, presented: &Presented) -> Result<Judged, AdmitError> {
    let dir = tempfile::tempdir().unwrap();
    let trust = scene.trust(dir.path(), true);
    judge(&trust, &presented.offer(), &Floors::default(), scene.at)
}

fn code(result: Result<Judged, AdmitError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn an_honest_scene_gives_a_key() {
    let scene = Scene::good();
    let dir = tempfile::tempdir().unwrap();
    let trust = scene.trust(dir.path(), true);
    let judged = judge(
        &trust,
        &scene.presented().offer(),
        &Floors::default(),
        scene.at,
    )
    .unwrap();
    assert!(judged.appraised().sim());
    assert_eq!(judged.ear().signer(), &PublicKey::of(&signing_key(1)));
    let key = UnloggedKey::new(judged, trust.development().unwrap());
    assert_eq!(key.key_statement(), scene.statement().digest());
    assert!(key.usable_at(scene.at));
    assert!(!key.usable_at(UnixTime(scene.at.0 + 600)));
}

#[test]
fn one_encoding_is_enough_none_is_not() {
    let scene = Scene::good();
    let presented = scene.presented();
    let dir = tempfile::tempdir().unwrap();
    let trust = scene.trust(dir.path(), true);
    let with = |jwt: bool, cose: bool| {
        let offer = Offer {
            ear_jwt: jwt.then_some(presented.ear_jwt.as_str()),
            ear_cose: cose.then_some(presented.ear_cose.as_slice()),
            ..presented.offer()
        };
        code(judge(&trust, &offer, &Floors::default(), scene.at))
    };
    assert_eq!(with(true, false), "accepted");
    assert_eq!(with(false, true), "accepted");
    assert_eq!(with(false, false), "DB-REQ-020");
}

#[test]
fn encodings_that_differ_are_refused() {
    let scene = Scene::good();
    let presented = scene.presented();
    let other = scene.presented();
    let mixed = Presented {
        ear_cose: other.ear_cose,
        ..presented
    };
    assert_eq!(code(judge_scene(&scene, &mixed)), "DB-REQ-021");
}

#[test]
fn a_verifier_that_vouches_for_bad_evidence_is_not_believed() {
    // The verifier signs claims that are right in form, for evidence that our appraisal refuses.
    let honest = Scene::good();
    let evidence = honest.evidence();
    let claims = honest.claims(&evidence);
    let mut tampered = evidence;
    let at = tampered.len() / 2;
    if let Some(byte) = tampered.get_mut(at) {
        *byte ^= 1;
    }
    let mut lying = claims;
    lying.evidence = Digest::of(&tampered);
    let result = judge_scene(&honest, &honest.present(tampered, &lying));
    let error = result.err().unwrap();
    assert!(matches!(error, AdmitError::Rejected { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Rejected);
    assert!(!error.checks().is_empty());
}

#[test]
fn a_config_that_the_policy_refuses_is_refused_though_the_verifier_accepts_it() {
    let mut scene = Scene::good();
    let accepted = scene.claims(&scene.evidence());
    scene.config.engine = "sqlite 3".into();
    let evidence = scene.evidence();
    let mut lying = accepted;
    lying.evidence = Digest::of(&evidence);
    let result = judge_scene(&scene, &scene.present(evidence, &lying));
    assert_eq!(code(result), "DB-ATT-024");
}

#[test]
fn a_negative_result_for_good_evidence_is_still_no() {
    let scene = Scene::good();
    let evidence = scene.evidence();
    // The verifier judges it for another audience and refuses.
    let mut severe = Scene::good();
    severe.audience = PublicKey::of(&signing_key(9));
    let negative = severe.claims(&evidence);
    assert!(!negative.is_accepted());
    let result = judge_scene(&scene, &scene.present(evidence, &negative));
    assert_eq!(code(result), "DB-REQ-023");
}

#[test]
fn a_key_that_is_not_pinned_signs_nothing() {
    let mut scene = Scene::good();
    scene.signer = signing_key(7);
    scene.audience = PublicKey::of(&scene.signer);
    let error = judge_scene(&scene, &scene.presented()).err().unwrap();
    assert_eq!(error.code(), "DB-ATT-051");
}

#[test]
fn the_second_pinned_key_counts_too_but_only_for_its_own_audience() {
    let mut scene = Scene::good();
    scene.signer = signing_key(9);
    scene.audience = PublicKey::of(&scene.signer);
    assert_eq!(code(judge_scene(&scene, &scene.presented())), "accepted");

    // Signed by one pinned key, evidence made for the other.
    let mut crossed = Scene::good();
    let evidence = crossed.evidence();
    let claims = crossed.claims(&evidence);
    crossed.signer = signing_key(9);
    let error = judge_scene(&crossed, &crossed.present(evidence, &claims))
        .err()
        .unwrap();
    assert!(error.is_other_audience(), "{error}");
}

#[test]
fn a_flipped_signature_is_refused() {
    let scene = Scene::good();
    let mut presented = scene.presented();
    let last = presented.ear_cose.len() - 1;
    if let Some(byte) = presented.ear_cose.get_mut(last) {
        *byte ^= 1;
    }
    assert_eq!(code(judge_scene(&scene, &presented)), "DB-ATT-052");
}

#[test]
fn both_parts_of_the_nonce_must_be_ours() {
    let own = Nonce::from_bytes([5; 32]);
    let mut fresh = Scene::good();
    fresh.requester_nonce = Some(own);
    let presented = fresh.presented();
    assert_eq!(code(judge_scene(&fresh, &presented)), "accepted");

    // Fresh evidence of someone else, offered for reuse.
    let reused = Presented {
        requester_nonce: None,
        ..presented.clone()
    };
    assert_eq!(code(judge_scene(&fresh, &reused)), "DB-REQ-022");
    // Ours was another one.
    let other = Presented {
        requester_nonce: Some(Nonce::from_bytes([6; 32])),
        ..presented
    };
    assert_eq!(code(judge_scene(&fresh, &other)), "DB-REQ-022");
    // Old evidence in answer to our nonce.
    let stale = Presented {
        requester_nonce: Some(own),
        ..Scene::good().presented()
    };
    assert_eq!(code(judge_scene(&fresh, &stale)), "DB-REQ-022");
}

#[test]
fn evidence_of_another_challenge_is_refused() {
    let scene = Scene::good();
    let mut other = Scene::good();
    other.verifier_nonce = Nonce::from_bytes([8; 32]);
    let evidence = other.evidence();
    let mut claims = scene.claims(&scene.evidence());
    claims.evidence = Digest::of(&evidence);
    let error = judge_scene(&scene, &scene.present(evidence, &claims))
        .err()
        .unwrap();
    assert_eq!(error.code(), "DB-ATT-018");
}

#[test]
fn claims_of_other_evidence_are_refused() {
    let scene = Scene::good();
    let mut other = Scene::good();
    other.instance = signing_key(6);
    let claims = other.claims(&other.evidence());
    let result = judge_scene(&scene, &scene.present(scene.evidence(), &claims));
    assert_eq!(code(result), "DB-ATT-056");
}

#[test]
fn times() {
    let mut late = Scene::good();
    let presented = late.presented();
    late.at = UnixTime(late.at.0 + 600);
    let error = judge_scene(&late, &presented).err().unwrap();
    assert_eq!((error.code(), error.exit()), ("DB-ATT-053", Exit::Stale));
    late.at = UnixTime(late.at.0 - 600 - 61);
    assert_eq!(code(judge_scene(&late, &presented)), "DB-ATT-054");
}

#[test]
fn a_result_must_not_outlive_the_key_it_speaks_for() {
    for epoch_ms in [3_600_000, 600_000] {
        let mut scene = Scene::good();
        scene.config.timeouts.epoch_ms = epoch_ms;
        let evidence = scene.evidence();
        let honest = scene.claims(&evidence);
        let most = i64::from(epoch_ms / 1000) + 60;
        let lasting = |seconds: i64| {
            let mut claims = honest.clone();
            claims.exp = UnixTime(claims.iat.0.saturating_add(seconds));
            judge_scene(&scene, &scene.present(evidence.clone(), &claims))
        };
        assert_eq!(code(lasting(most)), "accepted");
        for long in [most + 1, 86_400 * 365] {
            let error = lasting(long).err().unwrap();
            assert_eq!(error.code(), "DB-REQ-026");
            assert_eq!(error.exit(), Exit::Rejected);
        }
        // Nor by starting earlier.
        let mut claims = honest.clone();
        claims.iat = UnixTime(claims.exp.0 - most - 1);
        let early = judge_scene(&scene, &scene.present(evidence.clone(), &claims));
        assert_eq!(code(early), "DB-REQ-026");
    }
}

#[test]
fn a_result_for_another_node_is_refused() {
    let scene = Scene::good();
    let evidence = scene.evidence();
    let chosen = NodeId::from_bytes([1; 32]);
    let other = NodeId::from_bytes([2; 32]);
    let stored = |claimed: Option<NodeId>, asked: Option<NodeId>| {
        let mut claims = scene.claims(&evidence);
        claims.node = claimed;
        let presented = Presented {
            node: asked,
            ..scene.present(evidence.clone(), &claims)
        };
        judge_scene(&scene, &presented)
    };
    assert_eq!(code(stored(Some(chosen), Some(chosen))), "accepted");
    // Evidence that a requester had appraised names no node.
    assert_eq!(code(stored(None, Some(chosen))), "accepted");
    // Fresh evidence is bound by our nonce, not by a node.
    assert_eq!(code(stored(Some(other), None)), "accepted");
    let error = stored(Some(other), Some(chosen)).err().unwrap();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-027", Exit::Rejected));
}

#[test]
fn a_policy_that_is_not_pinned_counts_for_nothing() {
    let mut scene = Scene::good();
    let mut lenient = Scene::good();
    lenient.policy.push_str("# softer\n");
    let evidence = lenient.evidence();
    let claims = lenient.claims(&evidence);
    scene.policy.push_str("# ours\n");
    let result = judge_scene(&scene, &scene.present(evidence, &claims));
    assert_eq!(code(result), "DB-REQ-024");
}

#[test]
fn a_simulated_platform_needs_the_trust_file_to_say_so() {
    let scene = Scene::good();
    let dir = tempfile::tempdir().unwrap();
    let trust = scene.trust(dir.path(), false);
    let result = judge(
        &trust,
        &scene.presented().offer(),
        &Floors::default(),
        scene.at,
    );
    assert_eq!(code(result), "DB-REQ-025");
}
