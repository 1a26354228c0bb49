//! What stands before every route: counting, the rate limit, the time limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;
use crate::clock;
use crate::metrics::Counter;
use crate::state;

/// Time for one request, body included.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Counts the request and logs how it went: route, status and time, never content.
pub(super) async fn observe(
    State(state): State<Arc<state::State>>,
    request: Request,
    next: Next,
) -> Response {
    let started = clock::monotonic();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(%method, route, status = status.as_u16(), ms, "request");
    state.metrics.count(
        Counter::Requests,
        [("route", route.as_str()), ("status", status.as_str())],
    );
    response
}

/// Lets a peer through at its rate.
pub(super) async fn rate_limit(
    State(state): State<Arc<state::State>>,
    request: Request,
    next: Next,
) -> Response {
    // Without an address there is nobody to count for: that is our mistake, and nothing passes.
    let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        return ApiError::Internal("no peer address").into_response();
    };
    match state.rate.admit(address.ip(), clock::monotonic()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            state
                .metrics
                .count(Counter::TurnedAway, [("cause", "rate")]);
            ApiError::RateLimited(wait).into_response()
        }
    }
}

/// Ends a request that takes too long.
pub(super) async fn time_limit(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIME, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::TimedOut.into_response())
}
