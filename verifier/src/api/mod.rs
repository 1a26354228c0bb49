//! The HTTP interface. Bodies are the types of `duckblind_protocol::http`; errors are
//! [`error::ApiError`]; the OpenAPI document at `/openapi.json` is made from the same routes.

pub mod appraisals;
pub mod challenges;
pub mod error;
mod extract;
mod guard;
pub mod nodes;
pub mod schema;
pub mod service;
mod signed;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use duckblind_protocol::http::MAX_BODY;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::State;
use error::ApiError;

/// Cap of bodies that carry no evidence, in bytes.
const MAX_SMALL_BODY: usize = 16 << 10;

#[derive(OpenApi)]
#[openapi(info(
    title = "Duckblind verifier",
    description = "Challenges, appraisals with signed results, and the registry of nodes. \
                   Requests that change a node carry the headers `duckblind-node`, \
                   `duckblind-nonce` (a single-use nonce from `/v1/nonces`) and \
                   `duckblind-signature` (hex Ed25519 by the node's key).",
))]
struct Document;

/// The whole interface over `state`.
pub fn router(state: Arc<State>) -> Router {
    let with_evidence = OpenApiRouter::new()
        .routes(routes!(appraisals::appraise))
        .routes(routes!(nodes::post_attestation, nodes::get_attestation))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let small = OpenApiRouter::new()
        .routes(routes!(challenges::challenge))
        .routes(routes!(challenges::node_challenge))
        .routes(routes!(challenges::server_nonce))
        .routes(routes!(nodes::enrol, nodes::list))
        .routes(routes!(nodes::heartbeat))
        .routes(routes!(nodes::leave))
        .routes(routes!(service::jwks))
        .routes(routes!(service::health))
        .routes(routes!(service::metrics))
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY));

    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(with_evidence)
        .merge(small)
        .split_for_parts();
    let document = Arc::new(document);
    router
        .route(
            "/openapi.json",
            get(move || {
                let document = Arc::clone(&document);
                async move { axum::Json(document.as_ref().clone()) }
            }),
        )
        .fallback(|| async { ApiError::NoSuchPath })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn(guard::time_limit))
        .layer(from_fn_with_state(Arc::clone(&state), guard::rate_limit))
        .layer(from_fn_with_state(Arc::clone(&state), guard::observe))
        .with_state(state)
}
