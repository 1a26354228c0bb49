//! The service itself: keys, health, metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::error::ApiError;
use super::schema;
use crate::state;

/// Public keys of the signed results. They say which key signed; trust in it is pinned elsewhere.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "service",
    responses((status = 200, description = "JSON Web Key Set", body = schema::KeySet))
)]
pub(super) async fn jwks(State(state): State<Arc<state::State>>) -> axum::Json<Value> {
    axum::Json(state.key_set.clone())
}

/// Whether the verifier can serve: its state file answers.
#[utoipa::path(
    get, path = "/healthz", tag = "service",
    responses(
        (status = 200, description = "Well", body = schema::Health),
        (status = 503, description = "The state file does not answer", body = schema::Health),
    )
)]
pub(super) async fn health(State(state): State<Arc<state::State>>) -> impl IntoResponse {
    if state.store.healthy().await {
        (StatusCode::OK, axum::Json(json!({ "status": "ok" })))
    } else {
        let down = json!({ "status": "state file does not answer" });
        (StatusCode::SERVICE_UNAVAILABLE, axum::Json(down))
    }
}

/// Counters in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "service",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(
    State(state): State<Arc<state::State>>,
) -> Result<impl IntoResponse, ApiError> {
    let nodes = state.store.count(state.alive_since()).await?;
    let gauges: Vec<_> = nodes
        .iter()
        .map(|(class, count)| {
            (
                "duckblind_verifier_nodes",
                "Nodes heard of lately, by class.",
                format!("{{class=\"{class}\"}}"),
                *count,
            )
        })
        .collect();
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics.render(&gauges),
    ))
}
