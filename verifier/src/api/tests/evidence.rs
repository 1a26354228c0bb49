//! Challenges and appraisals: single use, bound to the requester's nonce, and always answered by
//! a signed result once evidence was looked at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::ear::{self, EarStatus, EarVerifyKey};
use duckblind_protocol::http::{AppraisalReply, ChallengeReply};
use duckblind_protocol::ids::Nonce;
use duckblind_protocol::key_statement::{combined_nonce, nonce_commitment};
use serde_json::json;

use crate::ear_key;
use crate::testing::{NOW, Verifier, refused};

fn garbage(challenge: &ChallengeReply, requester: Option<Nonce>) -> String {
    json!({
        "challenge": challenge.id,
        "evidence": STANDARD.encode(b"no evidence at all"),
        "requester_nonce": requester,
    })
    .to_string()
}

fn key(verifier: &Verifier) -> EarVerifyKey {
    EarVerifyKey::new(ear_key::read_public(&verifier.home.path().join("ear.pub")).unwrap())
}

#[tokio::test]
async fn bad_evidence_gets_a_signed_no_in_both_encodings() {
    let verifier = Verifier::start("").await;
    let challenge = verifier.challenge().await;
    assert_eq!(challenge.expires_ms, 120_000);
    let reply = verifier
        .post("/v1/appraisals", garbage(&challenge, None))
        .await;
    assert_eq!(reply.status(), 200);
    let reply: AppraisalReply = reply.json().await.unwrap();
    assert_eq!(reply.verdict, "contraindicated");
    assert_eq!(reply.reasons, ["E_FORMAT"]);
    assert!(
        reply
            .checks
            .iter()
            .any(|check| !check.pass && check.reason == "E_FORMAT")
    );

    let claims = ear::verify_jwt(&reply.ear_jwt, &[key(&verifier)], NOW).unwrap();
    assert_eq!(claims.status, EarStatus::Contraindicated);
    assert_eq!(
        claims.reasons,
        [duckblind_attestation::reason::Reason::Format]
    );
    assert_eq!(claims.verifier_nonce, challenge.verifier_nonce);
    assert_eq!(
        claims.nonce,
        combined_nonce(&challenge.verifier_nonce, None)
    );
    let cose = STANDARD.decode(&reply.ear_cose).unwrap();
    let from_cose = ear::verify_cose(&cose, &[key(&verifier)], NOW).unwrap();
    assert_eq!(claims, from_cose);

    let text = verifier.get("/metrics").await.text().await.unwrap();
    let line = "appraisals_total{tee=\"unknown\",result=\"contraindicated\",reason=\"E_FORMAT\"} 1";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn a_challenge_answers_one_appraisal_within_its_time() {
    let verifier = Verifier::start("").await;
    let challenge = verifier.challenge().await;
    let body = garbage(&challenge, None);
    assert_eq!(
        verifier.post("/v1/appraisals", body.clone()).await.status(),
        200
    );
    refused(
        verifier.post("/v1/appraisals", body).await,
        409,
        "DB-VER-035",
    )
    .await;

    let late = garbage(&verifier.challenge().await, None);
    verifier.pass(120);
    refused(
        verifier.post("/v1/appraisals", late).await,
        409,
        "DB-VER-035",
    )
    .await;
}

#[tokio::test]
async fn a_used_challenge_stays_used_across_a_restart() {
    let first = Verifier::start("").await;
    let (used, open) = (first.challenge().await, first.challenge().await);
    assert_eq!(
        first
            .post("/v1/appraisals", garbage(&used, None))
            .await
            .status(),
        200
    );
    let home = std::sync::Arc::clone(&first.home);
    drop(first);
    let second = Verifier::start_in(home, "").await;
    refused(
        second.post("/v1/appraisals", garbage(&used, None)).await,
        409,
        "DB-VER-035",
    )
    .await;
    assert_eq!(
        second
            .post("/v1/appraisals", garbage(&open, None))
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn the_requesters_nonce_must_be_the_committed_one() {
    let verifier = Verifier::start("").await;
    let (mine, other) = (Nonce::random().unwrap(), Nonce::random().unwrap());
    let committed = || async {
        let body = json!({ "requester_nonce_commitment": nonce_commitment(&mine) }).to_string();
        let reply: ChallengeReply = verifier
            .post("/v1/challenges", body)
            .await
            .json()
            .await
            .unwrap();
        reply
    };
    for wrong in [Some(other), None] {
        let body = garbage(&committed().await, wrong);
        refused(
            verifier.post("/v1/appraisals", body.clone()).await,
            409,
            "DB-VER-036",
        )
        .await;
        // The mismatch used the challenge up.
        refused(
            verifier.post("/v1/appraisals", body).await,
            409,
            "DB-VER-035",
        )
        .await;
    }
    let unannounced = garbage(&verifier.challenge().await, Some(mine));
    refused(
        verifier.post("/v1/appraisals", unannounced).await,
        409,
        "DB-VER-036",
    )
    .await;

    let challenge = committed().await;
    let reply = verifier
        .post("/v1/appraisals", garbage(&challenge, Some(mine)))
        .await;
    let reply: AppraisalReply = reply.json().await.unwrap();
    let claims = ear::verify_jwt(&reply.ear_jwt, &[key(&verifier)], NOW).unwrap();
    assert_eq!(claims.requester_nonce, Some(mine));
    assert_eq!(
        claims.nonce,
        combined_nonce(&challenge.verifier_nonce, Some(&mine))
    );
}

#[tokio::test]
async fn evidence_that_is_not_base64_uses_nothing_up() {
    let verifier = Verifier::start("").await;
    let challenge = verifier.challenge().await;
    let body = json!({ "challenge": challenge.id, "evidence": "***" }).to_string();
    refused(
        verifier.post("/v1/appraisals", body).await,
        400,
        "DB-VER-034",
    )
    .await;
    let body = garbage(&challenge, None);
    assert_eq!(verifier.post("/v1/appraisals", body).await.status(), 200);
}
