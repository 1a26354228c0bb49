//! The registry of nodes: `/v1/nodes`. What changes a node is signed by its key.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_protocol::http::{
    AppraisalReply, EnrolBody, NodeAttestation, NodeAttestationBody, NodeInfo, NodeList,
};
use duckblind_protocol::ids::{NodeId, UnixTime};
use duckblind_protocol::order::Class;
use serde::Deserialize;

use super::error::ApiError;
use super::signed::{self, Claimed, node_id};
use super::{appraisals, extract, schema};
use crate::metrics::Counter;
use crate::state;
use crate::store::attestations::{Attestation, INSTANCE_HELD, Noted};
use crate::store::nodes::{Attested, ListedNode, NewNode};

/// Longest address of a node: a DNS name, a colon and a port.
const MAX_ADDRESS: usize = 253 + 1 + 5;

/// Enrols a node, or moves it to a new address. Signed by the node's key. Needs the operator's
/// token or a place on the operator's list, unless the verifier serves this machine only.
#[utoipa::path(
    post, path = "/v1/nodes", tag = "nodes",
    params(schema::SignedHeaders),
    request_body = schema::EnrolBody,
    responses(
        (status = 200, description = "The node as registered", body = schema::NodeInfo),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn enrol(
    State(state): State<Arc<state::State>>,
    request: Request,
) -> Result<Json<NodeInfo>, ApiError> {
    let claimed = Claimed::read(request, &state).await?;
    let key = claimed.unproven::<EnrolBody>()?.node_key;
    let signed = claimed.with_key(&key, &state).await?;
    let body: EnrolBody = signed.body()?;
    if !state
        .enrolment
        .admits(&signed.node(), body.token.as_deref())
    {
        tracing::info!(node = %signed.node(), "enrolment refused");
        return Err(ApiError::EnrolmentRefused);
    }
    let node = NewNode {
        key,
        address: address(&body.address)?,
        class: body.class,
    };
    if !state.store.enrol(node, state.clock.now()).await? {
        return Err(ApiError::Busy);
    }
    tracing::info!(node = %signed.node(), class = %body.class, "enrolled");
    shown(&state, signed.node()).await.map(Json)
}

/// Which nodes to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    class: Option<Class>,
}

/// Lists nodes that were heard of lately, by id; of one class if asked for.
#[utoipa::path(
    get, path = "/v1/nodes", tag = "nodes",
    params(("class" = Option<schema::Class>, Query, description = "Only nodes of this class")),
    responses(
        (status = 200, description = "The nodes", body = schema::NodeList),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn list(
    State(state): State<Arc<state::State>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<NodeList>, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::Parameter("class"))?;
    let now = state.clock.now();
    let nodes = state.store.list(query.class, state.alive_since()).await?;
    Ok(Json(NodeList {
        nodes: nodes.into_iter().map(|node| info(node, now)).collect(),
    }))
}

/// Says that the node lives. Signed by the node's key.
#[utoipa::path(
    post, path = "/v1/nodes/{id}/heartbeat", tag = "nodes",
    params(("id" = String, Path, description = "Node id, hex"), schema::SignedHeaders),
    responses(
        (status = 200, description = "The node as registered", body = schema::NodeInfo),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn heartbeat(
    State(state): State<Arc<state::State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<NodeInfo>, ApiError> {
    let signed = signed::of_node(request, &id, &state).await?;
    if !state.store.seen(signed.node(), state.clock.now()).await? {
        return Err(ApiError::NodeUnknown);
    }
    shown(&state, signed.node()).await.map(Json)
}

/// Takes the node off the registry. Signed by the node's key.
#[utoipa::path(
    delete, path = "/v1/nodes/{id}", tag = "nodes",
    params(("id" = String, Path, description = "Node id, hex"), schema::SignedHeaders),
    responses(
        (status = 200, description = "Gone", body = schema::Empty),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn leave(
    State(state): State<Arc<state::State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<serde_json::Value>, ApiError> {
    let signed = signed::of_node(request, &id, &state).await?;
    if !state.store.leave(signed.node()).await? {
        return Err(ApiError::NodeUnknown);
    }
    tracing::info!(node = %signed.node(), "left");
    Ok(Json(serde_json::json!({})))
}

/// Takes the node's evidence in answer to the node's own challenge, appraises it and keeps both for
/// requesters. Signed by the node's key. Refused evidence too is answered by 200, with a signed
/// result that says so; an earlier good result of the node stays until its end. Evidence of an
/// instance of which another node has a live result is refused by 409.
#[utoipa::path(
    post, path = "/v1/nodes/{id}/attestation", tag = "nodes",
    params(("id" = String, Path, description = "Node id, hex"), schema::SignedHeaders),
    request_body = schema::NodeAttestationBody,
    responses(
        (status = 200, description = "The signed result, positive or negative", body = schema::AppraisalReply),
        (status = "4XX", description = "Refused before appraisal", body = schema::ErrorBody),
    )
)]
pub(super) async fn post_attestation(
    State(state): State<Arc<state::State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<AppraisalReply>, ApiError> {
    let signed = signed::of_node(request, &id, &state).await?;
    let node = signed.node();
    let body: NodeAttestationBody = signed.body()?;
    let evidence = extract::evidence(&body.evidence)?;
    let (judged, evidence) =
        appraisals::judge(&state, body.challenge, None, evidence, Some(node)).await?;
    let reply = judged.reply();
    let kept = Attestation {
        evidence,
        endorsements: judged.endorsements(),
        ear_jwt: reply.ear_jwt.clone(),
        ear_cose: judged.ear_cose().to_vec(),
        outcome: Attested {
            until: judged.until(),
            verdict: reply.verdict.clone(),
            sim: judged.sim(),
        },
        shown: judged.shown(),
    };
    let noted = state.store.attest(node, kept, state.clock.now()).await?;
    let shared = state.store.shared(node).await?;
    if !shared.is_empty() {
        let flags: Vec<_> = shared.iter().map(ToString::to_string).collect();
        tracing::warn!(%node, flags = flags.join(", "), "node flagged");
    }
    match noted {
        Noted::Stored => Ok(Json(reply)),
        Noted::EarlierStays => {
            tracing::warn!(%node, "refused; the earlier result stays until its end");
            Ok(Json(reply))
        }
        Noted::HeldBy(holder) => {
            state
                .metrics
                .count(Counter::TurnedAway, [("cause", INSTANCE_HELD)]);
            Err(ApiError::InstanceHeld(holder))
        }
        Noted::NotEnrolled => Err(ApiError::NodeUnknown),
    }
}

/// The node's evidence and signed result, the last good one until its end, for a requester to appraise itself.
#[utoipa::path(
    get, path = "/v1/nodes/{id}/attestation", tag = "nodes",
    params(("id" = String, Path, description = "Node id, hex")),
    responses(
        (status = 200, description = "Evidence and result", body = schema::NodeAttestation),
        (status = "4XX", description = "Refused", body = schema::ErrorBody),
    )
)]
pub(super) async fn get_attestation(
    State(state): State<Arc<state::State>>,
    Path(id): Path<String>,
) -> Result<Json<NodeAttestation>, ApiError> {
    let id = node_id(&id)?;
    let node = shown(&state, id).await?;
    let kept = state.store.attestation(id).await?;
    let kept = kept.ok_or(ApiError::NotAttested)?;
    Ok(Json(NodeAttestation {
        node,
        evidence: STANDARD.encode(kept.evidence),
        endorsements: STANDARD.encode(kept.endorsements),
        ear_jwt: kept.ear_jwt,
        ear_cose: STANDARD.encode(kept.ear_cose),
    }))
}

async fn shown(state: &state::State, id: NodeId) -> Result<NodeInfo, ApiError> {
    let node = state.store.node(id).await?.ok_or(ApiError::NodeUnknown)?;
    Ok(info(node, state.clock.now()))
}

fn info(node: ListedNode, now: UnixTime) -> NodeInfo {
    NodeInfo {
        id: node.id,
        node_key: node.key,
        address: node.address,
        class: node.class,
        attested_until: node.attested.as_ref().map(|attested| attested.until.0),
        sim: node.attested.as_ref().is_some_and(|attested| attested.sim),
        verdict: node.attested.map(|attested| attested.verdict),
        last_seen_s: u64::try_from(now.0.saturating_sub(node.seen.0)).unwrap_or(0),
        flags: node
            .refused
            .map(|why| format!("last-attestation-refused {why}"))
            .into_iter()
            .chain(node.shared.iter().map(ToString::to_string))
            .collect(),
    }
}

/// A socket address, or a DNS name and a port. It is shown to requesters, never dialled here.
fn address(text: &str) -> Result<String, ApiError> {
    let named = || -> Option<()> {
        let (host, port) = text.rsplit_once(':')?;
        let port_fits = !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_fits = host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }) && host.bytes().any(|b| b.is_ascii_alphabetic());
        (port_fits && host_fits).then_some(())
    };
    let numeric = text.parse::<SocketAddr>().is_ok_and(|address| {
        address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
    });
    if text.len() <= MAX_ADDRESS && (numeric || named().is_some()) {
        Ok(text.to_owned())
    } else {
        Err(ApiError::Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for good in [
            "127.0.0.1:4433",
            "[2001:db8::1]:1",
            "host-1.example.org:65535",
            "a:1",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ":1",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "1.2.3:4",
            "0.0.0.0:1",
            "-a:1",
            "a b:1",
            "a/b:1",
            "http://a:1",
            "224.0.0.1:5",
            "a..b:1",
            "[::]:1",
            "a:1\n",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("{}:1", "a.".repeat(200))).is_err());
    }
}
