//! What a request can be answered with instead of what it asked for.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::http::{ErrorBody, ErrorDetail};
use duckblind_protocol::ids::{NodeId, RandomError};

use crate::store::StoreError;

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not the JSON that this path takes.
    #[error("the body is not what this path takes: {0}")]
    Body(String),
    /// The body broke off.
    #[error("the body did not arrive whole")]
    BodyCut,
    /// The body is over the path's cap.
    #[error("the body is too large")]
    TooLarge,
    /// A part of path or query does not parse.
    #[error("{0} is not valid")]
    Parameter(&'static str),
    /// The evidence is not base64.
    #[error("the evidence is not base64")]
    EvidenceEncoding,
    /// No such challenge is alive.
    #[error("the challenge is unknown, used up or expired")]
    ChallengeUnknown,
    /// The requester's nonce is not the one committed to.
    #[error(transparent)]
    Commitment(#[from] crate::store::nonces::CommitmentMismatch),
    /// A signed request without its three headers.
    #[error("the request is not signed: header {0} is missing or malformed")]
    Unsigned(&'static str),
    /// The signature is not the node's, or not over this request.
    #[error("the request's signature does not verify")]
    BadSignature,
    /// The signed request's nonce is not alive.
    #[error("the request's nonce is unknown, used up or expired")]
    NonceUnknown,
    /// Not a node of the registry.
    #[error("the node is not enrolled")]
    NodeUnknown,
    /// The node has not been attested.
    #[error("the node has no attestation")]
    NotAttested,
    /// Enrolment needs a token or a place on the list.
    #[error("this node may not enrol")]
    EnrolmentRefused,
    /// Another node has a live result of the same enclave instance.
    #[error("node {0} has a result of this enclave instance")]
    InstanceHeld(NodeId),
    /// The address that a node gives is none.
    #[error("the node's address is not host:port")]
    Address,
    /// One peer asks too much.
    #[error("too many requests")]
    RateLimited(Duration),
    /// All asks too much.
    #[error("the verifier is busy")]
    Busy,
    /// The request took too long.
    #[error("the request took too long")]
    TimedOut,
    /// No such path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// The path takes other methods.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// The state file failed.
    #[error("the verifier cannot reach its state")]
    Store(#[from] StoreError),
    /// Something of ours failed.
    #[error("the verifier failed: {0}")]
    Internal(&'static str),
}

impl From<RandomError> for ApiError {
    fn from(_: RandomError) -> Self {
        Self::Internal("no randomness")
    }
}

impl ApiError {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body(_)
            | Self::BodyCut
            | Self::Parameter(_)
            | Self::EvidenceEncoding
            | Self::Address => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ChallengeUnknown | Self::Commitment(_) | Self::InstanceHeld(_) => {
                StatusCode::CONFLICT
            }
            Self::Unsigned(_) | Self::BadSignature | Self::NonceUnknown => StatusCode::UNAUTHORIZED,
            Self::EnrolmentRefused => StatusCode::FORBIDDEN,
            Self::NodeUnknown | Self::NotAttested | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Coded for ApiError {
    fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "DB-VER-030",
            Self::BodyCut => "DB-VER-031",
            Self::TooLarge => "DB-VER-032",
            Self::Parameter(_) => "DB-VER-033",
            Self::EvidenceEncoding => "DB-VER-034",
            Self::ChallengeUnknown => "DB-VER-035",
            Self::Commitment(_) => "DB-VER-036",
            Self::Unsigned(_) => "DB-VER-037",
            Self::BadSignature => "DB-VER-038",
            Self::NonceUnknown => "DB-VER-039",
            Self::NodeUnknown => "DB-VER-040",
            Self::NotAttested => "DB-VER-041",
            Self::EnrolmentRefused => "DB-VER-042",
            Self::Address => "DB-VER-043",
            Self::RateLimited(_) => "DB-VER-044",
            Self::Busy => "DB-VER-045",
            Self::TimedOut => "DB-VER-046",
            Self::NoSuchPath => "DB-VER-047",
            Self::MethodNotAllowed => "DB-VER-048",
            Self::Store(_) => "DB-VER-049",
            Self::Internal(_) => "DB-VER-050",
            Self::InstanceHeld(_) => "DB-VER-051",
        }
    }

    fn exit(&self) -> Exit {
        match self.status() {
            StatusCode::CONFLICT | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Exit::Rejected
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Exit::Busy,
            StatusCode::INTERNAL_SERVER_ERROR => Exit::Internal,
            _ => Exit::Malformed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Body(_) | Self::NoSuchPath | Self::MethodNotAllowed => {
                    "/openapi.json says what each path takes"
                }
                Self::ChallengeUnknown => {
                    "challenges live for 120 s, answer one appraisal, and a node's only its own"
                }
                Self::InstanceHeld(_) => {
                    "an enclave instance is one node's: the other must leave, or its result end"
                }
                Self::Commitment(_) => {
                    "send the nonce whose commitment opened the challenge, or neither"
                }
                Self::Unsigned(_) | Self::BadSignature => {
                    "sign method, path, body and a nonce from POST /v1/nonces with the node's key"
                }
                Self::NonceUnknown => "take a new one from POST /v1/nonces for each request",
                Self::NodeUnknown => "the host enrols by POST /v1/nodes",
                Self::NotAttested => "the host has to post evidence first",
                Self::EnrolmentRefused => {
                    "ask the verifier's operator for the enrolment token or a place on the list"
                }
                Self::RateLimited(_) | Self::Busy => "try again after the time in Retry-After",
                _ => return None,
            }
            .to_owned(),
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // Only our own failures are worth an error line; a refused request is everyday life.
        match &self {
            Self::Store(error) => tracing::error!(code = self.code(), %error, "state failed"),
            Self::Internal(what) => tracing::error!(code = self.code(), what, "internal failure"),
            _ => tracing::debug!(code = self.code(), "request refused"),
        }
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code().into(),
                message: self.to_string(),
                hint: self.hint(),
            },
        };
        let mut response = (self.status(), Json(body)).into_response();
        let wait = match self {
            Self::RateLimited(wait) => Some(wait.as_secs().saturating_add(1)),
            Self::Busy => Some(1),
            _ => None,
        };
        if let Some(seconds) = wait {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
