//! The verifier's HTTP interface, as a node uses it. Every change is signed with the node key over
//! method, path, body and a fresh server nonce.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use duckblind_protocol::http::{
    AppraisalReply, ChallengeReply, EnrolBody, ErrorBody, HEADER_NODE, HEADER_NONCE,
    HEADER_SIGNATURE, NodeAttestationBody, NonceReply, signing_bytes,
};
use duckblind_protocol::ids::{ChallengeId, NodeId};
use duckblind_protocol::order::Class;
use reqwest::{Method, Response};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::VerifierUrl;
use crate::error::HostError;
use crate::files;
use crate::node_key::NodeKey;

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 20;

/// One node's client.
pub struct VerifierClient {
    http: reqwest::Client,
    url: VerifierUrl,
    key: Arc<NodeKey>,
    node: NodeId,
}

/// What an affirmed attestation brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// Unix seconds at which the result ends, as its signer wrote it. Not verified here: the host
    /// only plans its next attestation by it.
    pub until: i64,
}

impl VerifierClient {
    /// A client that trusts `ca` alone, or the system's roots without one.
    pub fn new(
        url: VerifierUrl,
        ca: Option<&Path>,
        key: Arc<NodeKey>,
        patience: Duration,
    ) -> Result<Self, HostError> {
        let tls = |error: &dyn std::fmt::Display| HostError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("duckblind-host/", env!("CARGO_PKG_VERSION")))
            .timeout(patience)
            .https_only(url.is_tls());
        if let Some(path) = ca {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| tls(&error))?;
            }
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .map_err(|error| tls(&error))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder = builder.tls_backend_preconfigured(config);
        } else {
            // The HTTP library looks here; whoever installed one before us installed the same.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            builder = builder.tls_version_min(reqwest::tls::Version::TLS_1_3);
        }
        Ok(Self {
            http: builder.build().map_err(|error| tls(&error))?,
            url,
            node: key.node(),
            key,
        })
    }

    /// Puts this node into the registry.
    pub async fn enrol(
        &self,
        address: &str,
        class: Class,
        token: Option<&str>,
    ) -> Result<(), HostError> {
        let body = EnrolBody {
            node_key: self.key.public(),
            address: address.to_owned(),
            class,
            token: token.map(str::to_owned),
        };
        self.signed(Method::POST, "/v1/nodes", &body)
            .await
            .map(drop)
    }

    /// Tells the registry that this node lives.
    pub async fn heartbeat(&self) -> Result<(), HostError> {
        let path = format!("/v1/nodes/{}/heartbeat", self.node);
        self.signed(Method::POST, &path, &serde_json::json!({}))
            .await
            .map(drop)
    }

    /// Takes this node out of the registry.
    pub async fn leave(&self) -> Result<(), HostError> {
        let path = format!("/v1/nodes/{}", self.node);
        self.signed_bytes(Method::DELETE, &path, Vec::new())
            .await
            .map(drop)
    }

    /// A fresh challenge that only this node may answer.
    pub async fn challenge(&self) -> Result<ChallengeReply, HostError> {
        let path = format!("/v1/nodes/{}/challenges", self.node);
        parse(
            &self
                .signed(Method::POST, &path, &serde_json::json!({}))
                .await?,
        )
    }

    /// Posts evidence for a challenge; anything but a result that helps requesters is an error.
    pub async fn attest(
        &self,
        challenge: ChallengeId,
        evidence: &[u8],
    ) -> Result<Attested, HostError> {
        let path = format!("/v1/nodes/{}/attestation", self.node);
        let body = NodeAttestationBody {
            challenge,
            evidence: STANDARD.encode(evidence),
        };
        let answer = self.signed(Method::POST, &path, &body).await?;
        let reply: AppraisalReply = parse(&answer)?;
        if !matches!(reply.verdict.as_str(), "affirming" | "warning") {
            let reasons = reply.reasons.join(", ");
            return Err(HostError::NotAffirmed(format!(
                "{}: {reasons}",
                reply.verdict
            )));
        }
        Ok(Attested {
            until: expiry(&reply.ear_jwt)?,
        })
    }

    /// Asks whether the verifier lives; its `Date` header, if it sent one.
    pub async fn health(&self) -> Result<Option<String>, HostError> {
        let response = self
            .http
            .get(self.url.at("/healthz"))
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let date = response
            .headers()
            .get(reqwest::header::DATE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        answer("GET", "/healthz", response).await?;
        Ok(date)
    }

    async fn signed(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, HostError> {
        self.signed_bytes(method, path, to_json(body)?).await
    }

    async fn signed_bytes(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, HostError> {
        let name = if method == Method::DELETE {
            "DELETE"
        } else {
            "POST"
        };
        let reply: NonceReply = self.plain("/v1/nonces", &serde_json::json!({})).await?;
        let signature = self
            .key
            .sign(&signing_bytes(name, path, &body, &reply.nonce));
        let mut request = self
            .http
            .request(method, self.url.at(path))
            .header(HEADER_NODE, self.node.to_string())
            .header(HEADER_NONCE, reply.nonce.to_string())
            .header(HEADER_SIGNATURE, signature.to_string());
        if !body.is_empty() {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        answer(name, path, response).await
    }

    async fn plain<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, HostError> {
        let response = self
            .http
            .post(self.url.at(path))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(to_json(body)?)
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        parse(&answer("POST", path, response).await?)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, HostError> {
    let pem = files::read_small(path, "the verifier's CA", 1 << 20)?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|found| !found.is_empty());
    found.ok_or_else(|| HostError::FileMalformed {
        what: "the verifier's CA",
        path: path.to_owned(),
        expected: "PEM with at least one CERTIFICATE",
    })
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, HostError> {
    serde_json::to_vec(body).map_err(|error| HostError::VerifierMalformed(error.to_string()))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HostError> {
    serde_json::from_slice(bytes).map_err(|error| HostError::VerifierMalformed(error.to_string()))
}

/// The whole chain of causes: the outermost alone says only "error sending request".
fn unreachable(error: &reqwest::Error) -> HostError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    HostError::VerifierDown(text)
}

/// The body of a good answer, capped; the error of a bad one.
async fn answer(
    method: &'static str,
    path: &str,
    mut response: Response,
) -> Result<Vec<u8>, HostError> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| unreachable(&error))?
    {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(HostError::VerifierMalformed(format!(
                "an answer of more than {MAX_ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&piece);
    }
    let status = response.status();
    if status.is_success() {
        return Ok(body);
    }
    let detail = serde_json::from_slice::<ErrorBody>(&body).ok();
    let (code, message) = detail.map_or_else(Default::default, |body| {
        (body.error.code, body.error.message)
    });
    if status.is_server_error() {
        return Err(HostError::VerifierDown(format!(
            "{status} {code} {message}"
        )));
    }
    Err(HostError::VerifierRefused {
        method,
        path: path.to_owned(),
        status: status.as_u16(),
        code,
        message,
    })
}

/// `exp` in the payload of a JWT, whose signature is not looked at.
fn expiry(jwt: &str) -> Result<i64, HostError> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: i64,
    }
    let malformed = || HostError::VerifierMalformed("the result has no expiry".to_owned());
    let payload = jwt.split('.').nth(1).ok_or_else(malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| malformed())?;
    Ok(claims.exp)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_of_a_result_is_read() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry(&token(r#"{"iat":1,"exp":77}"#)).unwrap(), 77);
        assert!(expiry(&token(r#"{"iat":1}"#)).is_err());
        assert!(expiry("e30").is_err());
        assert!(expiry("e30.!.x").is_err());
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        assert!(certificates(&path).is_err());
    }
}
