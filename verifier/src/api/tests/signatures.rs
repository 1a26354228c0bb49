//! Requests of nodes: unsigned, forged, replayed, altered ones change nothing.

use duckblind_protocol::http::HEADER_SIGNATURE;
use duckblind_protocol::ids::Nonce;
use reqwest::Method;
use serde_json::json;

use crate::testing::{Node, Verifier, refused};

const GUARDED: &str = "[enrol]\ntoken_file = \"token\"";

async fn listed(verifier: &Verifier) -> usize {
    let list: serde_json::Value = verifier.get("/v1/nodes").await.json().await.unwrap();
    list.pointer("/nodes").unwrap().as_array().unwrap().len()
}

#[tokio::test]
async fn unsigned_requests_are_refused() {
    let verifier = Verifier::start(GUARDED).await;
    let node = Node::new(1);
    let body = node.enrolment(Some(&verifier.home.token()));
    refused(
        verifier.post("/v1/nodes", body.to_string()).await,
        401,
        "DB-VER-037",
    )
    .await;
    for missing in 0..3 {
        let nonce = verifier.nonce().await;
        let mut request = node.sign(Method::POST, "/v1/nodes", &body, nonce);
        request.headers.remove(missing);
        refused(verifier.send(request).await, 401, "DB-VER-037").await;
    }
    let mut twice = node.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    twice.headers.push((HEADER_SIGNATURE, "00".repeat(64)));
    refused(verifier.send(twice).await, 401, "DB-VER-037").await;
    assert_eq!(listed(&verifier).await, 0);
}

#[tokio::test]
async fn a_request_is_good_once_and_only_as_it_was_signed() {
    let verifier = Verifier::start(GUARDED).await;
    let node = Node::new(1);
    assert_eq!(verifier.enrol(&node).await.status(), 200);

    let path = format!("/v1/nodes/{}/heartbeat", node.id());
    let good = node.sign(Method::POST, &path, &json!({}), verifier.nonce().await);
    let mut other_body = good.clone();
    other_body.body = b"{ }".to_vec();
    refused(verifier.send(other_body).await, 401, "DB-VER-038").await;
    let mut other_path = good.clone();
    other_path.path = format!("/v1/nodes/{}", node.id());
    other_path.method = Method::DELETE;
    refused(verifier.send(other_path).await, 401, "DB-VER-038").await;
    // None of the altered ones used the nonce up.
    assert_eq!(verifier.send(good.clone()).await.status(), 200);
    refused(verifier.send(good).await, 401, "DB-VER-039").await;

    let made_up = node.sign(Method::POST, &path, &json!({}), Nonce::from_bytes([7; 32]));
    refused(verifier.send(made_up).await, 401, "DB-VER-039").await;
    let late = node.sign(Method::POST, &path, &json!({}), verifier.nonce().await);
    verifier.pass(120);
    refused(verifier.send(late).await, 401, "DB-VER-039").await;
    assert_eq!(listed(&verifier).await, 1);
}

#[tokio::test]
async fn nobody_speaks_for_another_node() {
    let verifier = Verifier::start(GUARDED).await;
    let (victim, thief) = (Node::new(1), Node::new(2));
    verifier.enrol(&victim).await;
    verifier.enrol(&thief).await;
    let path = format!("/v1/nodes/{}", victim.id());
    // Its own name on another's path; then another's name with its own signature.
    let own = thief.sign(Method::DELETE, &path, &json!({}), verifier.nonce().await);
    refused(verifier.send(own.clone()).await, 401, "DB-VER-038").await;
    let mut forged = own;
    if let Some(first) = forged.headers.first_mut() {
        first.1 = victim.id().to_string();
    }
    refused(verifier.send(forged).await, 401, "DB-VER-038").await;
    // A key in the body that is not the signer's.
    let body = victim.enrolment(Some(&verifier.home.token()));
    let other_key = thief.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    refused(verifier.send(other_key).await, 401, "DB-VER-038").await;
    assert_eq!(listed(&verifier).await, 2);
}
