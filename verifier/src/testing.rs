//! What tests of this crate share: a whole verifier on a loopback port, and nodes that sign.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use duckblind_protocol::http::{
    ChallengeReply, ErrorBody, HEADER_NODE, HEADER_NONCE, HEADER_SIGNATURE, NonceReply,
    signing_bytes,
};
use duckblind_protocol::ids::{NodeId, Nonce, PublicKey, Signature, UnixTime};
use ed25519_dalek::SigningKey;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::Config;
use crate::serve::Service;
use crate::{ear_key, token};

/// The time at which test verifiers start.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);

/// The policy that everyone starts from.
pub(crate) const TEMPLATE: &str = include_str!("../../policies/development.toml");

/// A development policy that accepts nothing of this world.
pub(crate) fn strict_policy() -> String {
    TEMPLATE
        .replace(
            "\nsimulator_roots = []",
            &format!("\nsimulator_roots = [\"{}\"]", "11".repeat(32)),
        )
        .replace(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "22".repeat(48)),
        )
        .replace(
            "\nimages = []",
            &format!(
                "\nimages = [{{ mrtd = \"{}\", rtmr0 = \"zero\", rtmr1 = \"zero\", \
                 rtmr2 = \"zero\", rtmr3 = \"zero\" }}]",
                "22".repeat(48)
            ),
        )
        .replace(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "33".repeat(32)),
        )
}

/// A folder with key, token, policy and configuration.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        ear_key::create(dir.path()).unwrap();
        token::create(&dir.path().join("token")).unwrap();
        std::fs::write(dir.path().join("policy.toml"), strict_policy()).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.path().join("token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Writes a configuration with `more` after its usual lines.
    pub(crate) fn config(&self, listen: &str, more: &str) -> PathBuf {
        self.config_with(listen, &["policy.toml"], more)
    }

    fn config_with(&self, listen: &str, policies: &[&str], more: &str) -> PathBuf {
        let path = self.path().join("verifier.toml");
        let text = format!(
            "listen = \"{listen}\"\nstate = \"state.sqlite\"\near_key = \"ear.key\"\n\
             policies = {policies:?}\n{more}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A verifier that serves until it is dropped.
pub(crate) struct Verifier {
    pub(crate) url: String,
    pub(crate) home: Arc<Home>,
    pub(crate) client: Client,
    time: Arc<AtomicI64>,
    handle: axum_server::Handle<std::net::SocketAddr>,
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Verifier {
    pub(crate) async fn start(more: &str) -> Self {
        Self::start_in(Arc::new(Home::new()), more).await
    }

    pub(crate) async fn start_in(home: Arc<Home>, more: &str) -> Self {
        Self::start_at(home, more, NOW).await
    }

    pub(crate) async fn start_at(home: Arc<Home>, more: &str, now: UnixTime) -> Self {
        Self::start_with(home, &["policy.toml"], more, now).await
    }

    /// With these policies, at this time; returns once it answers.
    pub(crate) async fn start_with(
        home: Arc<Home>,
        policies: &[&str],
        more: &str,
        now: UnixTime,
    ) -> Self {
        // Clients need a provider even for plain HTTP; the first test to come sets it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let time = Arc::new(AtomicI64::new(now.0));
        let config = home.config_with("127.0.0.1:0", policies, more);
        let config = Config::load(&config, None).unwrap();
        let service = Service::bind(config, Clock::Set(Arc::clone(&time))).unwrap();
        let (url, handle) = (service.url(), service.handle());
        tokio::spawn(service.serve());
        handle.listening().await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            url,
            home,
            client,
            time,
            handle,
        }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.client
            .post(format!("{}{path}", self.url))
            .body(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn challenge(&self) -> ChallengeReply {
        self.post("/v1/challenges", "{}")
            .await
            .json()
            .await
            .unwrap()
    }

    /// A challenge that only `node` may answer.
    #[cfg(feature = "simulator")]
    pub(crate) async fn node_challenge(&self, node: &Node) -> ChallengeReply {
        let path = format!("/v1/nodes/{}/challenges", node.id());
        let asked = node.sign(Method::POST, &path, &json!({}), self.nonce().await);
        self.send(asked).await.json().await.unwrap()
    }

    pub(crate) async fn nonce(&self) -> Nonce {
        let reply: NonceReply = self.post("/v1/nonces", "").await.json().await.unwrap();
        reply.nonce
    }

    pub(crate) async fn send(&self, request: Signed) -> Response {
        let mut sent = self
            .client
            .request(request.method, format!("{}{}", self.url, request.path))
            .body(request.body);
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        sent.send().await.unwrap()
    }

    /// Enrols with the operator's token.
    pub(crate) async fn enrol(&self, node: &Node) -> Response {
        let body = node.enrolment(Some(&self.home.token()));
        self.send(node.sign(Method::POST, "/v1/nodes", &body, self.nonce().await))
            .await
    }
}

/// A request with its signature, to be sent as it is or spoiled first.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A node's key.
pub(crate) struct Node(SigningKey);

impl Node {
    pub(crate) fn new(byte: u8) -> Self {
        Self(SigningKey::from_bytes(&[byte; 32]))
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId::of_key(&PublicKey::of(&self.0))
    }

    pub(crate) fn enrolment(&self, token: Option<&str>) -> Value {
        let mut body = json!({
            "node_key": PublicKey::of(&self.0),
            "address": "127.0.0.1:4433",
            "class": "l2",
        });
        if let (Some(token), Some(fields)) = (token, body.as_object_mut()) {
            fields.insert("token".into(), token.into());
        }
        body
    }

    pub(crate) fn sign(&self, method: Method, path: &str, body: &Value, nonce: Nonce) -> Signed {
        let body = body.to_string().into_bytes();
        let bytes = signing_bytes(method.as_str(), path, &body, &nonce);
        let signature = Signature::sign(&self.0, &bytes);
        Signed {
            method,
            path: path.to_owned(),
            body,
            headers: vec![
                (HEADER_NODE, self.id().to_string()),
                (HEADER_NONCE, nonce.to_string()),
                (HEADER_SIGNATURE, signature.to_string()),
            ],
        }
    }
}

/// The answer must be this refusal.
pub(crate) async fn refused(response: Response, status: u16, code: &str) {
    let got = response.status();
    let text = response.text().await.unwrap();
    let body: ErrorBody =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{got}: not an error: {text}"));
    assert_eq!(
        (got, body.error.code.as_str()),
        (StatusCode::from_u16(status).unwrap(), code),
        "{text}"
    );
}
