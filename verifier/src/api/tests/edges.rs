//! Sizes, rates, wrong JSON, wrong paths; documents and metrics.

use std::collections::BTreeSet;
use std::sync::Arc;

use duckblind_protocol::http as spoken;
use duckblind_protocol::ids::{ChallengeId, Digest, NodeId, Nonce, PublicKey};
use duckblind_protocol::order::Class;
use serde::Serialize;
use serde_json::Value;

use crate::testing::{Home, Verifier, refused};

#[tokio::test]
async fn wrong_bodies_and_paths_are_coded() {
    let verifier = Verifier::start("").await;
    for body in ["{", "[]", "nul", "{\"unknown\":1}", "{} {}", "\u{0}"] {
        refused(
            verifier.post("/v1/challenges", body).await,
            400,
            "DB-VER-030",
        )
        .await;
    }
    let short = r#"{"requester_nonce_commitment":"00"}"#;
    refused(
        verifier.post("/v1/challenges", short).await,
        400,
        "DB-VER-030",
    )
    .await;
    let deep = "[".repeat(10_000);
    refused(
        verifier.post("/v1/appraisals", deep).await,
        400,
        "DB-VER-030",
    )
    .await;
    refused(verifier.get("/v1/nothing").await, 404, "DB-VER-047").await;
    refused(verifier.get("/v1/challenges").await, 405, "DB-VER-048").await;
    refused(verifier.get("/v1/nodes?class=l9").await, 400, "DB-VER-033").await;
    refused(
        verifier.get("/v1/nodes/zz/attestation").await,
        400,
        "DB-VER-033",
    )
    .await;
    let nobody = format!("/v1/nodes/{}/attestation", "00".repeat(32));
    refused(verifier.get(&nobody).await, 404, "DB-VER-040").await;
}

#[tokio::test]
async fn oversized_bodies_are_refused_with_and_without_a_length() {
    let verifier = Verifier::start("").await;
    let small = vec![b' '; super::super::MAX_SMALL_BODY + 1];
    refused(
        verifier.post("/v1/challenges", small).await,
        413,
        "DB-VER-032",
    )
    .await;
    let large = vec![b' '; spoken::MAX_BODY + 1];
    refused(
        verifier.post("/v1/appraisals", large).await,
        413,
        "DB-VER-032",
    )
    .await;

    // Chunked, so that no header gives the size away.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = verifier.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/challenges HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..5 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_peer_over_its_rate_is_told_when_to_come_back() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 2";
    let verifier = Verifier::start(limits).await;
    assert_eq!(verifier.get("/healthz").await.status(), 200);
    assert_eq!(verifier.get("/healthz").await.status(), 200);
    let turned_away = verifier.get("/healthz").await;
    assert_eq!(turned_away.headers().get("retry-after").unwrap(), "1");
    refused(turned_away, 429, "DB-VER-044").await;
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed() {
    let verifier = Verifier::start("[limits]\nconnections_per_peer = 1").await;
    let address = verifier.url.strip_prefix("http://").unwrap();
    assert_eq!(verifier.get("/healthz").await.status(), 200);
    // The client's kept connection holds the only place.
    use tokio::io::AsyncReadExt as _;
    let mut second = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn https_speaks_tls_1_3_and_is_checked_by_its_ca() {
    let home = Arc::new(Home::new());
    crate::net::tls::create(&home.path().join("tls"), "127.0.0.1").unwrap();
    let more = "[tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"";
    let verifier = Verifier::start_in(Arc::clone(&home), more).await;
    assert!(verifier.url.starts_with("https://"));
    let health = format!("{}/healthz", verifier.url);
    assert!(
        verifier.client.get(&health).send().await.is_err(),
        "an unknown CA"
    );

    let ca = std::fs::read(home.path().join("tls/ca.pem")).unwrap();
    let ca = reqwest::Certificate::from_pem(&ca).unwrap();
    let client = || {
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([ca.clone()])
    };
    let good = client().build().unwrap().get(&health).send().await.unwrap();
    assert_eq!(good.status(), 200);
    // TLS 1.2, by hand: one cipher suite, and no extension that offers a newer version.
    let hello = [
        &[0x16, 3, 1, 0, 55, 1, 0, 0, 51, 3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0xc0, 0x2f, 1, 0],
        &[0, 8, 0, 0x0d, 0, 4, 0, 2, 4, 3], // signature algorithms
    ]
    .concat();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = verifier.url.strip_prefix("https://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).await.unwrap();
    assert_eq!(
        (alert[0], alert[5], alert[6]),
        (21, 2, 70),
        "alert protocol_version"
    );

    let plain = health.replace("https://", "http://");
    assert!(verifier.client.get(&plain).send().await.is_err());
}

#[tokio::test]
async fn metrics_count_and_hold_no_ids() {
    let verifier = Verifier::start("").await;
    verifier.challenge().await;
    verifier.get("/v1/nodes/some-id/attestation").await;
    let text = verifier.get("/metrics").await.text().await.unwrap();
    let line = "http_requests_total{route=\"/v1/challenges\",status=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains("duckblind_verifier_nodes{class=\"l2\"} 0"),
        "{text}"
    );
    assert!(!text.contains("some-id"), "{text}");
}

#[tokio::test]
async fn the_key_set_holds_the_current_key() {
    let verifier = Verifier::start("").await;
    let set: Value = verifier
        .get("/.well-known/jwks.json")
        .await
        .json()
        .await
        .unwrap();
    let public = crate::ear_key::read_public(&verifier.home.path().join("ear.pub")).unwrap();
    assert_eq!(set, crate::ear_key::jwks([&public]));
    assert_eq!(set.pointer("/keys/0/crv").unwrap(), "Ed25519");
}

/// The schema's fields of one body must be the fields that are spoken.
fn same_fields(document: &Value, name: &str, spoken: &impl Serialize) {
    let spoken = serde_json::to_value(spoken).unwrap();
    let fields: BTreeSet<_> = spoken.as_object().unwrap().keys().cloned().collect();
    let described = document
        .pointer(&format!("/components/schemas/{name}/properties"))
        .unwrap_or_else(|| panic!("{name} is not described"));
    let described: BTreeSet<_> = described.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, described, "{name}");
}

#[tokio::test]
async fn the_openapi_document_describes_what_is_spoken() {
    let verifier = Verifier::start("").await;
    let document: Value = verifier.get("/openapi.json").await.json().await.unwrap();
    let paths: Vec<_> = document
        .get("paths")
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(
        paths,
        [
            "/.well-known/jwks.json",
            "/healthz",
            "/metrics",
            "/v1/appraisals",
            "/v1/challenges",
            "/v1/nodes",
            "/v1/nodes/{id}",
            "/v1/nodes/{id}/attestation",
            "/v1/nodes/{id}/challenges",
            "/v1/nodes/{id}/heartbeat",
            "/v1/nonces",
        ]
    );

    let text = || Some(String::new());
    let node = spoken::NodeInfo {
        id: NodeId::from_bytes([0; 32]),
        node_key: PublicKey::from_bytes([0; 32]),
        address: String::new(),
        class: Class::L2,
        attested_until: None,
        verdict: None,
        sim: false,
        last_seen_s: 0,
        flags: vec![],
    };
    let nonce = Nonce::from_bytes([0; 32]);
    let challenge = ChallengeId::from_bytes([0; 16]);
    let evidence = String::new();
    let (ear_jwt, ear_cose) = (String::new(), String::new());
    let commitment = Some(Digest::from_bytes([0; 32]));
    same_fields(&document, "NodeInfo", &node);
    same_fields(&document, "NodeList", &spoken::NodeList { nodes: vec![] });
    same_fields(
        &document,
        "ChallengeBody",
        &spoken::ChallengeBody {
            requester_nonce_commitment: commitment,
        },
    );
    same_fields(
        &document,
        "ChallengeReply",
        &spoken::ChallengeReply {
            id: challenge,
            verifier_nonce: nonce,
            expires_ms: 0,
        },
    );
    same_fields(
        &document,
        "NonceReply",
        &spoken::NonceReply {
            nonce,
            expires_ms: 0,
        },
    );
    same_fields(
        &document,
        "AppraisalBody",
        &spoken::AppraisalBody {
            challenge,
            evidence: evidence.clone(),
            requester_nonce: Some(nonce),
        },
    );
    same_fields(
        &document,
        "NodeAttestationBody",
        &spoken::NodeAttestationBody {
            challenge,
            evidence: evidence.clone(),
        },
    );
    same_fields(
        &document,
        "EnrolBody",
        &spoken::EnrolBody {
            node_key: node.node_key,
            address: String::new(),
            class: Class::L0,
            token: text(),
        },
    );
    same_fields(
        &document,
        "CheckLine",
        &spoken::CheckLine {
            name: String::new(),
            reason: String::new(),
            pass: true,
            expected: text(),
            got: text(),
        },
    );
    same_fields(
        &document,
        "AppraisalReply",
        &spoken::AppraisalReply {
            verdict: String::new(),
            reasons: vec![],
            ear_jwt: ear_jwt.clone(),
            ear_cose: ear_cose.clone(),
            endorsements: String::new(),
            checks: vec![],
        },
    );
    same_fields(
        &document,
        "NodeAttestation",
        &spoken::NodeAttestation {
            node,
            evidence,
            endorsements: String::new(),
            ear_jwt,
            ear_cose,
        },
    );
    same_fields(
        &document,
        "ErrorDetail",
        &spoken::ErrorDetail {
            code: String::new(),
            message: String::new(),
            hint: text(),
        },
    );
}
