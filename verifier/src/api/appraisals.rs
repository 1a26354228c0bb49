//! Evidence of a requester: `/v1/appraisals`. Also what a node's attestation shares with it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::http::{AppraisalBody, AppraisalReply};
use duckblind_protocol::ids::{ChallengeId, NodeId, Nonce};

use tokio::sync::OwnedSemaphorePermit;

use super::error::ApiError;
use super::extract::{self, Json};
use super::schema;
use crate::appraisal::{Judged, Question, claimed_instance};
use crate::clock;
use crate::metrics::Counter;
use crate::state;

/// How long an appraisal waits for its turn.
const WAIT_FOR_TURN: Duration = Duration::from_secs(5);

/// Appraises evidence that answers a challenge, which is used up. Refused evidence too is answered
/// by 200, with a signed result that says so.
#[utoipa::path(
    post, path = "/v1/appraisals", tag = "evidence",
    request_body = schema::AppraisalBody,
    responses(
        (status = 200, description = "The signed result, positive or negative", body = schema::AppraisalReply),
        (status = "4XX", description = "Refused before appraisal", body = schema::ErrorBody),
    )
)]
pub(super) async fn appraise(
    State(state): State<Arc<state::State>>,
    Json(body): Json<AppraisalBody>,
) -> Result<axum::Json<AppraisalReply>, ApiError> {
    let evidence = extract::evidence(&body.evidence)?;
    let (judged, _) = judge(&state, body.challenge, body.requester_nonce, evidence, None).await?;
    Ok(axum::Json(judged.reply()))
}

/// A turn among the appraisals at a time, after a short wait.
async fn turn_of(state: &state::State) -> Result<OwnedSemaphorePermit, ApiError> {
    tokio::time::timeout(WAIT_FOR_TURN, Arc::clone(&state.turns).acquire_owned())
        .await
        .map_err(|_| {
            state
                .metrics
                .count(Counter::TurnedAway, [("cause", "appraisals")]);
            ApiError::Busy
        })?
        .map_err(|_| ApiError::Busy)
}

/// Takes the challenge, which must be `node`'s or a requester's, and appraises; gives the evidence
/// back with the result.
pub(super) async fn judge(
    state: &Arc<state::State>,
    challenge: ChallengeId,
    requester_nonce: Option<Nonce>,
    evidence: Vec<u8>,
    node: Option<NodeId>,
) -> Result<(Judged, Vec<u8>), ApiError> {
    // The turn comes before the challenge: being busy uses nothing up.
    let mut turn = turn_of(state).await?;
    let now = state.clock.now();
    let taken = state.store.take_challenge(challenge, node, now).await?;
    let reject = |kind| {
        state
            .metrics
            .count(Counter::NoncesRejected, [("kind", kind)]);
    };
    let nonces = taken
        .ok_or_else(|| {
            reject("challenge");
            ApiError::ChallengeUnknown
        })?
        .open(requester_nonce)
        .inspect_err(|_| reject("commitment"))?;

    let earlier = match claimed_instance(&evidence) {
        Some(instance) => state.store.earlier(instance).await?,
        None => None,
    };
    let floors = state.store.floors().await?;
    let endorsements = match &state.endorser {
        Some(endorser) => {
            // Vendors take their time: others are judged meanwhile.
            drop(turn);
            let found = endorser.look_up(&evidence, node, now, &state.metrics);
            let found = found.await;
            turn = turn_of(state).await?;
            found
        }
        None => Endorsements::default(),
    };
    let shared = Arc::clone(state);
    let started = clock::monotonic();
    let (judged, evidence, floors) = tokio::task::spawn_blocking(move || {
        let judged = shared.judge.judge(Question {
            evidence: &evidence,
            endorsements,
            floors: &floors,
            nonces,
            node,
            earlier,
            now,
        });
        drop(turn);
        (judged, evidence, floors)
    })
    .await
    .map_err(|_| ApiError::Internal("the appraisal ended early"))?;
    let judged = judged.map_err(|_| ApiError::Internal("the result cannot be signed"))?;

    if *judged.floors() != floors {
        // Before the result is given out: whoever holds it counts on them.
        state.store.raise_floors(judged.floors().clone()).await?;
    }
    state.metrics.appraised_in(started.elapsed());
    let first_reason = judged.reasons().first().copied().unwrap_or("none");
    state.metrics.count(
        Counter::Appraisals,
        [
            ("tee", judged.tee()),
            ("result", judged.verdict()),
            ("reason", first_reason),
        ],
    );
    state
        .metrics
        .count(Counter::EarsIssued, [("verdict", judged.verdict())]);
    tracing::info!(
        verdict = judged.verdict(),
        reasons = judged.reasons().join(","),
        node = node.map(|id| id.to_string()),
        sim = judged.sim(),
        "appraised"
    );
    Ok((judged, evidence))
}
