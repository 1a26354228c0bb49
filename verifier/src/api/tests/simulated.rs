//! Evidence of a simulated platform through the whole interface: accepted, refused, replayed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::ear::EarStatus;
use duckblind_attestation::evidence::Evidence;
use duckblind_protocol::http::{AppraisalReply, ChallengeReply};
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::combined_nonce;
use serde_json::json;

use super::enclave::{Enclave, accepting, claims};
use crate::clock;
use crate::testing::Verifier;

async fn appraise(
    verifier: &Verifier,
    challenge: &ChallengeReply,
    evidence: &str,
) -> AppraisalReply {
    let body = json!({ "challenge": challenge.id, "evidence": evidence }).to_string();
    let reply = verifier.post("/v1/appraisals", body).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

#[tokio::test]
async fn honest_evidence_gets_a_result_marked_sim_that_ends_with_the_epoch() {
    let verifier = accepting("").await;
    let challenge = verifier.challenge().await;
    let enclave = Enclave::boot(1);
    let reply = appraise(
        &verifier,
        &challenge,
        &enclave.answer(&verifier, &challenge),
    )
    .await;
    let failed: Vec<_> = reply.checks.iter().filter(|check| !check.pass).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(
        (reply.verdict.as_str(), reply.reasons.len()),
        ("warning", 0)
    );
    let claims = claims(&verifier, &reply);
    assert_eq!(
        (claims.status, claims.sim, claims.node),
        (EarStatus::Warning, true, None)
    );
    let told = claims.enclave.as_ref().unwrap();
    assert_eq!(told.key_statement, enclave.statement.digest());
    // The epoch (300 s at most) ends before the usual 600 s of a result.
    assert_eq!(claims.exp.0 - claims.iat.0, 300);
}

#[tokio::test]
async fn evidence_for_another_challenge_or_verifier_or_altered_is_refused_in_writing() {
    let verifier = accepting("").await;
    let enclave = Enclave::boot(1);
    let first = verifier.challenge().await;
    let evidence = enclave.answer(&verifier, &first);
    appraise(&verifier, &first, &evidence).await;

    // The same evidence again, under a new challenge.
    let replayed = appraise(&verifier, &verifier.challenge().await, &evidence).await;
    assert_eq!(replayed.reasons, ["E_NONCE"]);
    let said_no = claims(&verifier, &replayed);
    assert_eq!(said_no.status, EarStatus::Contraindicated);
    assert!(said_no.enclave.is_none());

    let challenge = verifier.challenge().await;
    let nonce = combined_nonce(&challenge.verifier_nonce, None);
    let for_another = enclave.evidence(nonce, Digest::of(b"another verifier"));
    assert_eq!(
        appraise(&verifier, &challenge, &for_another).await.reasons,
        ["E_NONCE"]
    );

    let challenge = verifier.challenge().await;
    let bytes = STANDARD
        .decode(enclave.answer(&verifier, &challenge))
        .unwrap();
    let mut altered = Evidence::decode(&bytes).unwrap();
    *altered.report.get_mut(0x90).unwrap() ^= 1; // the measurement
    let altered = STANDARD.encode(altered.encode());
    let reply = appraise(&verifier, &challenge, &altered).await;
    assert_eq!(reply.verdict, "contraindicated");
    assert!(
        reply.reasons.contains(&"E_MEASUREMENT".to_owned()),
        "{:?}",
        reply.reasons
    );
    assert!(
        reply.reasons.contains(&"E_SIG".to_owned()),
        "{:?}",
        reply.reasons
    );
}

#[tokio::test]
async fn of_several_policies_the_first_that_accepts_speaks() {
    let more = "";
    let verifier = accepting(more).await;
    let home = Arc::clone(&verifier.home);
    drop(verifier);
    let accepting_text = std::fs::read(home.path().join("policy.toml")).unwrap();
    std::fs::write(home.path().join("second.toml"), &accepting_text).unwrap();
    std::fs::write(
        home.path().join("policy.toml"),
        crate::testing::strict_policy(),
    )
    .unwrap();
    let now = clock::Clock::System.now();
    let enclave = Enclave::boot(1);

    let strict = Verifier::start_at(Arc::clone(&home), "", now).await;
    let challenge = strict.challenge().await;
    let reply = appraise(&strict, &challenge, &enclave.answer(&strict, &challenge)).await;
    assert_eq!(reply.verdict, "contraindicated");
    let strict_id = Digest::of(crate::testing::strict_policy().as_bytes());
    assert_eq!(claims(&strict, &reply).policy_id, strict_id);
    drop(strict);

    let both = Verifier::start_with(home, &["policy.toml", "second.toml"], "", now).await;
    let challenge = both.challenge().await;
    let reply = appraise(&both, &challenge, &enclave.answer(&both, &challenge)).await;
    assert_eq!(reply.verdict, "warning");
    assert_eq!(claims(&both, &reply).policy_id, Digest::of(&accepting_text));
}
