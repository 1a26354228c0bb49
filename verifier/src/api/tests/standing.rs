//! The standing of nodes with a simulated platform: attested, refused later, and one chip or instance
//! under two nodes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_protocol::http::{
    AppraisalReply, ChallengeReply, NodeAttestation, NodeInfo, NodeList,
};
use duckblind_protocol::ids::Digest;
use reqwest::{Method, Response};
use serde_json::json;

use super::enclave::{Enclave, accepting, claims};
use crate::testing::{Node, Verifier, refused};

/// Posts evidence as `node`, in answer to `challenge`.
async fn post(
    verifier: &Verifier,
    node: &Node,
    challenge: &ChallengeReply,
    evidence: &str,
) -> Response {
    let body = json!({ "challenge": challenge.id, "evidence": evidence });
    let path = format!("/v1/nodes/{}/attestation", node.id());
    let request = node.sign(Method::POST, &path, &body, verifier.nonce().await);
    verifier.send(request).await
}

/// Evidence of `enclave` for a challenge of `node`'s own.
async fn attested(verifier: &Verifier, node: &Node, enclave: &Enclave) -> Response {
    let challenge = verifier.node_challenge(node).await;
    let evidence = enclave.answer(verifier, &challenge);
    post(verifier, node, &challenge, &evidence).await
}

async fn attest(verifier: &Verifier, node: &Node, enclave: &Enclave) -> AppraisalReply {
    let reply = attested(verifier, node, enclave).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

async fn shown(verifier: &Verifier, node: &Node) -> NodeInfo {
    let list: NodeList = verifier.get("/v1/nodes").await.json().await.unwrap();
    let mut nodes = list.nodes.into_iter();
    nodes.find(|each| each.id == node.id()).unwrap()
}

#[tokio::test]
async fn a_node_attests_and_requesters_get_what_it_sent() {
    let verifier = accepting("").await;
    let node = Node::new(1);
    verifier.enrol(&node).await;
    let path = format!("/v1/nodes/{}/attestation", node.id());
    refused(verifier.get(&path).await, 404, "DB-VER-041").await;

    let reply = attest(&verifier, &node, &Enclave::boot(1)).await;
    let said = claims(&verifier, &reply);
    assert_eq!((said.node, said.is_accepted()), (Some(node.id()), true));
    let got: NodeAttestation = verifier.get(&path).await.json().await.unwrap();
    assert_eq!(
        (got.ear_jwt.as_str(), got.ear_cose.as_str()),
        (reply.ear_jwt.as_str(), reply.ear_cose.as_str())
    );
    assert_eq!(
        Digest::of(&STANDARD.decode(&got.evidence).unwrap()),
        said.evidence
    );
    assert_eq!(got.node.verdict.as_deref(), Some("warning"));
    assert_eq!(got.node.attested_until, Some(said.exp.0));
    assert!(got.node.sim && got.node.flags.is_empty());

    let list: NodeList = verifier
        .get("/v1/nodes?class=l2")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list.nodes.first().unwrap().attested_until, Some(said.exp.0));
}

#[tokio::test]
async fn a_failed_attestation_is_flagged_and_leaves_the_good_one_until_its_end() {
    let verifier = accepting("ear_lifetime_ms = 60000").await;
    let (node, stranger) = (Node::new(1), Node::new(2));
    verifier.enrol(&node).await;
    verifier.enrol(&stranger).await;
    let enclave = Enclave::boot(1);
    let good = attest(&verifier, &node, &enclave).await;
    let stored = async || {
        let path = format!("/v1/nodes/{}/attestation", node.id());
        let found: NodeAttestation = verifier.get(&path).await.json().await.unwrap();
        found
    };

    // Nobody else can so much as leave a mark on it.
    let garbage = STANDARD.encode(b"no evidence at all");
    let challenge = verifier.node_challenge(&node).await;
    let body = json!({ "challenge": challenge.id, "evidence": garbage });
    let path = format!("/v1/nodes/{}/attestation", node.id());
    let foreign = stranger.sign(Method::POST, &path, &body, verifier.nonce().await);
    refused(verifier.send(foreign).await, 401, "DB-VER-038").await;
    assert!(shown(&verifier, &node).await.flags.is_empty());

    let bad = post(&verifier, &node, &challenge, &garbage).await;
    let bad: AppraisalReply = bad.json().await.unwrap();
    assert_eq!(bad.verdict, "contraindicated");
    let now = shown(&verifier, &node).await;
    assert_eq!(now.flags, ["last-attestation-refused E_FORMAT"]);
    assert_eq!(now.verdict.as_deref(), Some("warning"));
    assert_eq!(now.attested_until, Some(claims(&verifier, &good).exp.0));
    assert_eq!(stored().await.ear_jwt, good.ear_jwt);

    let better = attest(&verifier, &node, &enclave).await;
    assert_eq!(stored().await.ear_jwt, better.ear_jwt);
    assert!(shown(&verifier, &node).await.flags.is_empty());

    verifier.pass(60);
    let challenge = verifier.node_challenge(&node).await;
    let last = post(&verifier, &node, &challenge, &garbage).await;
    let last: AppraisalReply = last.json().await.unwrap();
    assert_eq!(stored().await.ear_jwt, last.ear_jwt);
    let now = shown(&verifier, &node).await;
    assert_eq!(now.verdict.as_deref(), Some("contraindicated"));
}

#[tokio::test]
async fn a_nodes_evidence_answers_its_own_challenge_only() {
    let verifier = accepting("").await;
    let (one, two) = (Node::new(1), Node::new(2));
    verifier.enrol(&one).await;
    verifier.enrol(&two).await;
    let enclave = Enclave::boot(1);
    let (own, anyones) = (
        verifier.node_challenge(&one).await,
        verifier.challenge().await,
    );
    let evidence = enclave.answer(&verifier, &own);
    let taken = post(&verifier, &two, &own, &evidence).await;
    refused(taken, 409, "DB-VER-035").await;
    let body = json!({ "challenge": own.id, "evidence": evidence }).to_string();
    refused(
        verifier.post("/v1/appraisals", body).await,
        409,
        "DB-VER-035",
    )
    .await;
    let for_anyone = enclave.answer(&verifier, &anyones);
    let open = post(&verifier, &one, &anyones, &for_anyone).await;
    refused(open, 409, "DB-VER-035").await;
    // All that used nothing up; its owner does, once.
    assert_eq!(post(&verifier, &one, &own, &evidence).await.status(), 200);
    let again = post(&verifier, &one, &own, &evidence).await;
    refused(again, 409, "DB-VER-035").await;

    let path = format!("/v1/nodes/{}/challenges", one.id());
    refused(verifier.post(&path, "{}").await, 401, "DB-VER-037").await;
    let foreign = two.sign(Method::POST, &path, &json!({}), verifier.nonce().await);
    refused(verifier.send(foreign).await, 401, "DB-VER-038").await;
}

#[tokio::test]
async fn a_chip_under_two_nodes_is_flagged_with_both_names() {
    let verifier = accepting("").await;
    let (one, two) = (Node::new(1), Node::new(2));
    verifier.enrol(&one).await;
    verifier.enrol(&two).await;
    attest(&verifier, &one, &Enclave::boot(1)).await;
    assert!(shown(&verifier, &one).await.flags.is_empty());
    attest(&verifier, &two, &Enclave::boot(2)).await;
    let (first, also) = (one.id(), two.id());
    let flag = format!("chip-under-two-nodes first={first} also={also}");
    for node in [&one, &two] {
        let shown = shown(&verifier, node).await;
        assert_eq!(shown.flags, [flag.as_str()]);
        assert_eq!(shown.verdict.as_deref(), Some("warning"));
    }
}

#[tokio::test]
async fn another_nodes_enclave_gets_nobody_a_result_and_costs_its_node_none() {
    let verifier = accepting("ear_lifetime_ms = 60000").await;
    let (owner, thief) = (Node::new(1), Node::new(2));
    verifier.enrol(&owner).await;
    verifier.enrol(&thief).await;
    let enclave = Enclave::boot(1);
    let good = attest(&verifier, &owner, &enclave).await;
    let stolen = attested(&verifier, &thief, &enclave).await;
    refused(stolen, 409, "DB-VER-051").await;

    let (first, also) = (owner.id(), thief.id());
    let both = [
        format!("chip-under-two-nodes first={first} also={also}"),
        format!("instance-under-two-nodes first={first} also={also}"),
    ];
    let owners = shown(&verifier, &owner).await;
    assert_eq!(owners.flags, both);
    assert_eq!(owners.attested_until, Some(claims(&verifier, &good).exp.0));
    let thiefs = shown(&verifier, &thief).await;
    assert_eq!(thiefs.flags[0], "last-attestation-refused instance-held");
    assert_eq!(thiefs.flags[1..], both);
    assert_eq!((thiefs.verdict, thiefs.attested_until), (None, None));
    let path = format!("/v1/nodes/{}/attestation", thief.id());
    refused(verifier.get(&path).await, 404, "DB-VER-041").await;

    // The owner goes on as before; who is over may be followed by another.
    attest(&verifier, &owner, &enclave).await;
    verifier.pass(60);
    assert_eq!(attest(&verifier, &thief, &enclave).await.verdict, "warning");
    let late = attested(&verifier, &owner, &enclave).await;
    refused(late, 409, "DB-VER-051").await;
}

#[tokio::test]
async fn an_instance_keeps_its_report_id_and_does_not_go_back_an_epoch() {
    let verifier = accepting("").await;
    let node = Node::new(1);
    verifier.enrol(&node).await;
    let mut enclave = Enclave::boot(1);
    assert_eq!(attest(&verifier, &node, &enclave).await.verdict, "warning");
    // The key of the epoch before still opens jobs.
    enclave.statement.epoch = 4;
    assert_eq!(attest(&verifier, &node, &enclave).await.verdict, "warning");
    enclave.statement.epoch = 3;
    assert_eq!(
        attest(&verifier, &node, &enclave).await.reasons,
        ["E_BINDING"]
    );
    enclave.statement.epoch = 6;
    assert_eq!(attest(&verifier, &node, &enclave).await.verdict, "warning");
    // Another boot of the platform that claims the same instance.
    let mut impostor = Enclave::boot(1);
    impostor.statement.epoch = 7;
    assert_eq!(
        attest(&verifier, &node, &impostor).await.verdict,
        "contraindicated"
    );
}
