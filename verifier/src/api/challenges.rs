//! Nonces to hand out: `/v1/challenges` for evidence, `/v1/nonces` for signed requests.

use std::sync::Arc;

use axum::extract::State;
use duckblind_protocol::http::{ChallengeBody, ChallengeReply, NonceReply};
use duckblind_protocol::ids::{ChallengeId, Nonce};

use super::error::ApiError;
use super::extract::Json;
use super::schema;
use crate::state;
use crate::store::nonces::{LIFETIME_SECONDS, NewChallenge};

const EXPIRES_MS: u64 = LIFETIME_SECONDS.unsigned_abs() * 1000;

/// Opens a challenge: a single-use nonce that lives for 120 s. With a commitment, the appraisal
/// must bring the requester's nonce too.
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
    let challenge = NewChallenge {
        id: ChallengeId::random()?,
        nonce: Nonce::random()?,
        commitment: body.requester_nonce_commitment,
    };
    if !state
        .store
        .keep_challenge(challenge, state.clock.now())
        .await?
    {
        return Err(ApiError::Busy);
    }
    Ok(axum::Json(ChallengeReply {
        id: challenge.id,
        verifier_nonce: challenge.nonce,
        expires_ms: EXPIRES_MS,
    }))
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
    if !state
        .store
        .keep_server_nonce(nonce, state.clock.now())
        .await?
    {
        return Err(ApiError::Busy);
    }
    Ok(axum::Json(NonceReply {
        nonce,
        expires_ms: EXPIRES_MS,
    }))
}
