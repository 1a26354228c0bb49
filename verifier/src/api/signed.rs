//! Requests signed by a node: over method, path, body and a server nonce that is used up.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use duckblind_protocol::http::{HEADER_NODE, HEADER_NONCE, HEADER_SIGNATURE, signing_bytes};
use duckblind_protocol::ids::{NodeId, Nonce, PublicKey, Signature};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::extract;
use crate::metrics::Counter;
use crate::state::State;

/// A request that claims to be a node's. Its body may be looked at to find the key, not acted on.
pub(super) struct Claimed {
    node: NodeId,
    nonce: Nonce,
    signature: Signature,
    method: String,
    path: String,
    body: Bytes,
}

/// Proof that a live, now used-up request is this node's.
pub(super) struct FromNode {
    node: NodeId,
    body: Bytes,
}

impl Claimed {
    /// Reads headers and body.
    pub(super) async fn read(request: Request, state: &State) -> Result<Self, ApiError> {
        let headers = request.headers();
        let node = header(headers, HEADER_NODE)?;
        let nonce = header(headers, HEADER_NONCE)?;
        let signature = header(headers, HEADER_SIGNATURE)?;
        let method = request.method().as_str().to_owned();
        let path = request.uri().path().to_owned();
        let body = extract::whole(request, state).await?;
        Ok(Self {
            node,
            nonce,
            signature,
            method,
            path,
            body,
        })
    }

    /// The body, not yet proven to be the node's.
    pub(super) fn unproven<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        extract::parse(&self.body)
    }

    /// Checks with the key that the registry holds for `node`, which the path names.
    async fn by(self, node: NodeId, state: &State) -> Result<FromNode, ApiError> {
        let key = state
            .store
            .node_key(node)
            .await?
            .ok_or(ApiError::NodeUnknown)?;
        self.with_key(&key, state).await
    }

    /// Checks with `key`, whose hash the node's id must be.
    pub(super) async fn with_key(
        self,
        key: &PublicKey,
        state: &State,
    ) -> Result<FromNode, ApiError> {
        if NodeId::of_key(key) != self.node {
            return Err(ApiError::BadSignature);
        }
        // The signature first: strangers cannot use up nonces of others.
        let signed = signing_bytes(&self.method, &self.path, &self.body, &self.nonce);
        key.verify(&signed, &self.signature)
            .map_err(|_| ApiError::BadSignature)?;
        if !state
            .store
            .take_server_nonce(self.nonce, state.clock.now())
            .await?
        {
            state
                .metrics
                .count(Counter::NoncesRejected, [("kind", "server")]);
            return Err(ApiError::NonceUnknown);
        }
        Ok(FromNode {
            node: self.node,
            body: self.body,
        })
    }
}

impl FromNode {
    /// Whose request it is.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Its body.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        extract::parse(&self.body)
    }
}

/// A request of the node that its path names.
pub(super) async fn of_node(
    request: Request,
    id: &str,
    state: &State,
) -> Result<FromNode, ApiError> {
    let claimed = Claimed::read(request, state).await?;
    claimed.by(node_id(id)?, state).await
}

/// The node that a path names.
pub(super) fn node_id(text: &str) -> Result<NodeId, ApiError> {
    text.parse().map_err(|_| ApiError::Parameter("the node id"))
}

/// Exactly one header of this name, that parses.
fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ApiError::Unsigned(name)),
        _ => Err(ApiError::Unsigned(name)),
    }
}
