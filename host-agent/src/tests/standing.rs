//! The node's standing: enrolment, heartbeats and attestations at a verifier that this test plays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use duckblind_protocol::frames::{ChallengeRequest, EpochNote, Kind, Refused, frame};
use duckblind_protocol::http::{
    EnrolBody, HEADER_NODE, HEADER_NONCE, HEADER_SIGNATURE, NodeAttestationBody, signing_bytes,
};
use duckblind_protocol::ids::{Digest, NodeId, Nonce, PublicKey, Signature};
use duckblind_protocol::job_code::JobCode;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;

use super::rig::{config, eventually, read_frame};
use crate::clock::unix_now;
use crate::config::{EnclaveAddress, VerifierUrl};
use crate::enclave_link::EnclaveLink;
use crate::node_key::NodeKey;
use crate::run;

const VERIFIER_NONCE: [u8; 32] = [0x55; 32];

/// What the played verifier has seen, and how it behaves.
#[derive(Default)]
struct Desk {
    key: Option<PublicKey>,
    nonces: Vec<Nonce>,
    done: Vec<String>,
    evidence: Vec<Vec<u8>>,
    /// Answers everything with 500.
    broken: bool,
    /// Seconds that results live.
    life: i64,
}

type Shared = Arc<Mutex<Desk>>;

async fn answer(
    State(desk): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut desk = desk.lock().unwrap();
    if desk.broken {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let path = uri.path().to_owned();
    if path == "/v1/nonces" {
        let nonce = Nonce::random().unwrap();
        desk.nonces.push(nonce);
        return axum::Json(json!({"nonce": nonce, "expires_ms": 1000})).into_response();
    }
    // Everything else is signed.
    if path == "/v1/nodes" {
        let enrol: EnrolBody = serde_json::from_slice(&body).unwrap();
        assert_eq!(enrol.token.as_deref(), Some("the token"));
        desk.key = Some(enrol.node_key);
    }
    let Some(key) = desk.key else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let nonce: Nonce = header(HEADER_NONCE).parse().unwrap();
    let signature: Signature = header(HEADER_SIGNATURE).parse().unwrap();
    assert_eq!(header(HEADER_NODE), NodeId::of_key(&key).to_string());
    assert!(desk.nonces.contains(&nonce), "a nonce of its own");
    desk.nonces.retain(|each| *each != nonce);
    let signed = signing_bytes(method.as_str(), &path, &body, &nonce);
    key.verify(&signed, &signature).unwrap();
    desk.done.push(format!("{method} {path}"));
    if path.ends_with("/challenges") {
        let id = "77".repeat(16);
        let nonce = hex::encode(VERIFIER_NONCE);
        return axum::Json(json!({"id": id, "verifier_nonce": nonce, "expires_ms": 1000}))
            .into_response();
    }
    if path.ends_with("/attestation") {
        let posted: NodeAttestationBody = serde_json::from_slice(&body).unwrap();
        desk.evidence
            .push(STANDARD.decode(posted.evidence).unwrap());
        let claims = json!({"exp": unix_now() + desk.life}).to_string();
        return axum::Json(json!({
            "verdict": "affirming", "reasons": [], "checks": [], "ear_cose": "", "endorsements": "",
            "ear_jwt": format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)),
        }))
        .into_response();
    }
    axum::Json(json!({})).into_response()
}

/// A played enclave: answers challenges with the nonce it got, and tells the epochs of `epochs`.
async fn enclave(listener: UnixListener, epochs: watch::Receiver<u64>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, epochs.clone()));
    }
}

async fn converse(mut stream: UnixStream, mut epochs: watch::Receiver<u64>) {
    match read_frame(&mut stream).await {
        (Kind::Watch, _) => loop {
            let epoch = *epochs.borrow_and_update();
            let note = EpochNote::new(Digest::of(b"statement"), epoch, 1000).encode();
            if stream.write_all(&frame(Kind::Epoch, &note)).await.is_err()
                || epochs.changed().await.is_err()
            {
                return;
            }
        },
        (Kind::Challenge, payload) => {
            let challenge = ChallengeRequest::decode(&payload).unwrap();
            assert_eq!(challenge.requester_nonce, None);
            let evidence = frame(Kind::Evidence, challenge.verifier_nonce.as_bytes());
            stream.write_all(&evidence).await.unwrap();
        }
        (kind, _) => panic!("{kind:?} from the host"),
    }
}

#[tokio::test]
async fn a_node_enrols_attests_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    NodeKey::generate().unwrap().write(dir.path()).unwrap();
    crate::files::write_new(&dir.path().join("token"), 0o600, b"the token\n").unwrap();

    // The verifier is broken at first: the agent keeps trying.
    let desk: Shared = Arc::new(Mutex::new(Desk {
        broken: true,
        life: 600,
        ..Desk::default()
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&desk));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let (epoch, epochs) = watch::channel(1);
    let socket = UnixListener::bind(dir.path().join("enclave.sock")).unwrap();
    tokio::spawn(enclave(socket, epochs));

    let mut config = config(dir.path());
    config.verifier = VerifierUrl::parse(&url).unwrap();
    config.enrol_token_file = Some(dir.path().join("token"));
    config.timeouts.heartbeat = Duration::from_millis(200);
    let ready = dir.path().join("ready.json");
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let agent = tokio::spawn(run::run(config, Some(ready.clone()), async {
        let _ = ended.await;
    }));

    eventually("it is ready", || ready.exists()).await;
    let up: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
    let node = up["node"].as_str().unwrap().to_owned();
    desk.lock().unwrap().broken = false;

    let count = |what: String| {
        desk.lock()
            .unwrap()
            .done
            .iter()
            .filter(|each| **each == what)
            .count()
    };
    let attestations = || count(format!("POST /v1/nodes/{node}/attestation"));
    eventually("it is attested", || attestations() == 1).await;
    assert_eq!(desk.lock().unwrap().evidence, [VERIFIER_NONCE]);
    eventually("hearts beat", || {
        count(format!("POST /v1/nodes/{node}/heartbeat")) >= 2
    })
    .await;
    // A result of ten minutes is not renewed at once; a new epoch's key is attested at once.
    assert_eq!(attestations(), 1);
    epoch.send(2).unwrap();
    eventually("the new epoch is attested", || attestations() == 2).await;

    // Short results are renewed at half of their life.
    desk.lock().unwrap().life = 2;
    epoch.send(3).unwrap();
    eventually("the third", || attestations() == 3).await;
    eventually("the renewal", || attestations() >= 4).await;

    // A registry that has forgotten the node is told again.
    desk.lock().unwrap().key = None;
    eventually("it enrols again", || {
        count("POST /v1/nodes".to_owned()) == 2
    })
    .await;

    let page = reqwest::get(format!(
        "http://{}/metrics",
        up["metrics"].as_str().unwrap()
    ))
    .await
    .unwrap()
    .text()
    .await
    .unwrap();
    for line in ["duckblind_host_enclave_up 1", "duckblind_host_epoch 3"] {
        assert!(page.lines().any(|each| each == line), "{line} in\n{page}");
    }
    assert!(page.contains("duckblind_host_attestation_age_seconds"));

    end.send(()).unwrap();
    agent.await.unwrap().unwrap();
    assert_eq!(count(format!("DELETE /v1/nodes/{node}")), 1);
    assert!(!ready.exists());
}

#[tokio::test]
async fn a_busy_enclave_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("enclave.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let second = Duration::from_secs(1);
    let link = EnclaveLink::new(EnclaveAddress::Unix(path), second);
    let played = async {
        let key = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
        let (busy, never) = (Some(10), None);
        for (code, retry) in [
            (Some(JobCode::Busy), busy),
            (Some(JobCode::Busy), busy),
            (None, never),
            (Some(JobCode::Draining), never),
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_eq!(read_frame(&mut stream).await.0, Kind::Challenge);
            let answer = code.map_or_else(
                || frame(Kind::Evidence, b"evidence"),
                |code| {
                    frame(
                        Kind::Refused,
                        &Refused::sign(&key, None, code, retry).encode(),
                    )
                },
            );
            stream.write_all(&answer).await.unwrap();
        }
    };
    let challenge = ChallengeRequest {
        v: 1,
        verifier_nonce: Nonce::random().unwrap(),
        requester_nonce: None,
        audience: Digest::of(b"audience"),
    };
    let asking = async {
        let evidence = link.evidence(&challenge, 10 * second).await;
        assert_eq!(evidence.unwrap(), b"evidence");
        assert!(link.evidence(&challenge, 10 * second).await.is_err());
    };
    tokio::join!(played, asking);
}
