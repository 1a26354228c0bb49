//! Nodes come, live, move and go; who may come is the operator's choice.

use duckblind_protocol::http::{NodeInfo, NodeList};
use reqwest::Method;
use serde_json::json;

use crate::testing::{Node, Verifier, refused};

#[tokio::test]
async fn a_node_enrols_lives_and_leaves() {
    let verifier = Verifier::start("node_silence_ms = 60000").await;
    let node = Node::new(1);
    let body = node.enrolment(None);
    let enrol = node.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    let shown: NodeInfo = verifier.send(enrol).await.json().await.unwrap();
    assert_eq!(
        (shown.id, shown.last_seen_s, shown.sim),
        (node.id(), 0, false)
    );
    assert_eq!((shown.verdict, shown.attested_until), (None, None));

    verifier.pass(50);
    let path = format!("/v1/nodes/{}/heartbeat", node.id());
    let beat = node.sign(Method::POST, &path, &json!({}), verifier.nonce().await);
    assert_eq!(verifier.send(beat).await.status(), 200);
    verifier.pass(50);
    let list: NodeList = verifier
        .get("/v1/nodes?class=l2")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list.nodes.first().unwrap().last_seen_s, 50);
    let others: NodeList = verifier
        .get("/v1/nodes?class=l0")
        .await
        .json()
        .await
        .unwrap();
    assert!(others.nodes.is_empty());
    verifier.pass(11);
    let silent: NodeList = verifier.get("/v1/nodes").await.json().await.unwrap();
    assert!(silent.nodes.is_empty());

    let path = format!("/v1/nodes/{}", node.id());
    let leave = node.sign(Method::DELETE, &path, &json!({}), verifier.nonce().await);
    assert_eq!(verifier.send(leave).await.status(), 200);
    let again = node.sign(Method::DELETE, &path, &json!({}), verifier.nonce().await);
    refused(verifier.send(again).await, 404, "DB-VER-040").await;
}

#[tokio::test]
async fn enrolment_asks_for_the_token_or_a_place_on_the_list() {
    let (listed, stranger) = (Node::new(1), Node::new(2));
    let more = format!(
        "[enrol]\ntoken_file = \"token\"\nallow = [\"{}\"]",
        listed.id()
    );
    let verifier = Verifier::start(&more).await;
    let wrong = "duckblind-enrol:".to_owned() + &"0".repeat(64);
    for token in [None, Some(""), Some(wrong.as_str())] {
        let body = stranger.enrolment(token);
        let enrol = stranger.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
        refused(verifier.send(enrol).await, 403, "DB-VER-042").await;
    }
    assert_eq!(verifier.enrol(&stranger).await.status(), 200);
    let body = listed.enrolment(None);
    let enrol = listed.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    assert_eq!(verifier.send(enrol).await.status(), 200);
}

#[tokio::test]
async fn odd_addresses_and_classes_do_not_enrol() {
    let verifier = Verifier::start("").await;
    let node = Node::new(1);
    let mut body = node.enrolment(None);
    *body.pointer_mut("/address").unwrap() = json!("http://example.org:80");
    let enrol = node.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    refused(verifier.send(enrol).await, 400, "DB-VER-043").await;
    let mut body = node.enrolment(None);
    *body.pointer_mut("/class").unwrap() = json!("l1");
    let enrol = node.sign(Method::POST, "/v1/nodes", &body, verifier.nonce().await);
    refused(verifier.send(enrol).await, 400, "DB-VER-030").await;
}
