//! Nonces to hand out: `/v1/challenges` and `/v1/nodes/{id}/challenges` for evidence, `/v1/nonces`
//! for signed requests.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use duckblind_protocol::http::{ChallengeBody, ChallengeReply, NonceReply};
use duckblind_protocol::ids::{ChallengeId, Nonce};

use super::error::ApiError;
use super::extract::Json;
use super::schema;
use super::signed;
use crate::state;
use crate::store::nonces::{LIFETIME_SECONDS, NewChallenge, Purpose};

const EXPIRES_MS: u64 = LIFETIME_SECONDS.unsigned_abs() * 1000;

/// Opens a requester's challenge: a single-use nonce that lives for 120 s. With a commitment, the
/// appraisal must bring the requester's nonce too.
#[utoipa::path(
    post, path = "/v1/challenges", tag = "evidence",
    request_body = schema::ChallengeBody,
    responses(
        (status = 200, description = "The challenge", body = schema::ChallengeReply),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn challenge(
    State(state): State<Arc<state::State>>,
    Json(body): Json<ChallengeBody>,
) -> Result<axum::Json<ChallengeReply>, ApiError> {
    let purpose = Purpose::Requester(body.requester_nonce_commitment);
    open(&state, purpose).await.map(axum::Json)
}

/// Opens a challenge for the node's own evidence: a single-use nonce that lives for 120 s and that
/// only this node's attestation can answer. It takes the place of the node's earlier one. Signed
/// by the node's key.
#[utoipa::path(
    post, path = "/v1/nodes/{id}/challenges", tag = "nodes",
    params(("id" = String, Path, description = "Node id, hex"), schema::SignedHeaders),
    responses(
        (status = 200, description = "The challenge", body = schema::ChallengeReply),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn node_challenge(
    State(state): State<Arc<state::State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<axum::Json<ChallengeReply>, ApiError> {
    let signed = signed::of_node(request, &id, &state).await?;
    open(&state, Purpose::Node(signed.node()))
        .await
        .map(axum::Json)
}

async fn open(state: &state::State, purpose: Purpose) -> Result<ChallengeReply, ApiError> {
    let challenge = NewChallenge {
        id: ChallengeId::random()?,
        nonce: Nonce::random()?,
        purpose,
    };
    let now = state.clock.now();
    state.store.keep_challenge(challenge, now).await?;
    Ok(ChallengeReply {
        id: challenge.id,
        verifier_nonce: challenge.nonce,
        expires_ms: EXPIRES_MS,
    })
}

/// Gives a single-use nonce for one signed request of a node; it lives for 120 s.
#[utoipa::path(
    post, path = "/v1/nonces", tag = "nodes",
    responses(
        (status = 200, description = "The nonce", body = schema::NonceReply),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn server_nonce(
    State(state): State<Arc<state::State>>,
) -> Result<axum::Json<NonceReply>, ApiError> {
    let nonce = Nonce::random()?;
    let now = state.clock.now();
    state.store.keep_server_nonce(nonce, now).await?;
    Ok(axum::Json(NonceReply {
        nonce,
        expires_ms: EXPIRES_MS,
    }))
}
