//! Bodies: capped, whole, and exactly the JSON that is asked for.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        parse(&whole(request, state).await?).map(Self)
    }
}

/// Reads the body up to the route's cap.
pub(super) async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|refused| {
            if refused.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::TooLarge
            } else {
                ApiError::BodyCut
            }
        })
}

/// Parses JSON. An empty body stands for `{}`.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The parser would also take a list of a structure's fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::Body("not a JSON object".into()));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The parser's own text can quote the body; the place and kind are enough.
        ApiError::Body(format!(
            "{} at line {} column {}",
            match error.classify() {
                serde_json::error::Category::Data => "a wrong, missing or unknown field",
                _ => "not JSON",
            },
            error.line(),
            error.column()
        ))
    })
}

/// Decodes evidence.
pub(super) fn evidence(base64: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(base64)
        .map_err(|_| ApiError::EvidenceEncoding)
}
