//! The verifier's HTTP interface, seen from the requester. Nothing it answers is believed: evidence
//! is appraised again, signatures are checked against pinned keys.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use duckblind_protocol::http::{
    AppraisalBody, AppraisalReply, ChallengeBody, ChallengeReply, ErrorBody, NodeAttestation,
    NodeInfo, NodeList,
};
use duckblind_protocol::ids::{ChallengeId, Digest, NodeId, Nonce};
use duckblind_protocol::order::Class;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ClientError;
use crate::trust::VerifierAddress;

/// Bytes that an answer may have: two megabytes of evidence in base64, and some.
pub const MAX_ANSWER: usize = 4 << 20;
/// Nodes that one list may have.
pub const MAX_NODES: usize = 4096;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client of one verifier.
#[derive(Clone)]
pub struct VerifierClient {
    http: reqwest::Client,
    base: reqwest::Url,
}

impl VerifierClient {
    /// Connects to nothing yet.
    pub fn new(address: &VerifierAddress) -> Result<Self, ClientError> {
        let tls = |e: &dyn std::fmt::Display| ClientError::Tls(e.to_string());
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("duckblind/", env!("CARGO_PKG_VERSION")));
        if crate::trust::is_loopback(&address.url) {
            builder = builder.no_proxy();
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        builder = if let Some(pem) = &address.ca_pem {
            let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .map_err(|e| tls(&e))?
                .with_root_certificates(roots(pem)?)
                .with_no_client_auth();
            builder.tls_backend_preconfigured(config)
        } else {
            // The system's own authorities; fails only if another provider was set before.
            let _ = provider.install_default();
            builder.tls_version_min(reqwest::tls::Version::TLS_1_3)
        };
        Ok(Self {
            http: builder.build().map_err(|e| tls(&e))?,
            base: address.url.clone(),
        })
    }

    /// A nonce for evidence; with a commitment, one of two parts.
    pub async fn challenge(
        &self,
        requester_nonce_commitment: Option<Digest>,
    ) -> Result<ChallengeReply, ClientError> {
        let body = ChallengeBody {
            requester_nonce_commitment,
        };
        self.post("/v1/challenges", &body).await
    }

    /// Has evidence appraised.
    pub async fn appraise(
        &self,
        challenge: ChallengeId,
        evidence: &[u8],
        requester_nonce: Option<Nonce>,
    ) -> Result<AppraisalReply, ClientError> {
        let body = AppraisalBody {
            challenge,
            evidence: BASE64.encode(evidence),
            requester_nonce,
        };
        self.post("/v1/appraisals", &body).await
    }

    /// The hosts of a class, as the verifier lists them.
    pub async fn nodes(&self, class: Class) -> Result<Vec<NodeInfo>, ClientError> {
        let list: NodeList = self.get(&format!("/v1/nodes?class={class}")).await?;
        if list.nodes.len() > MAX_NODES {
            return Err(ClientError::VerifierAnswer("too many hosts"));
        }
        Ok(list.nodes)
    }

    /// A host's newest evidence with its attestation result.
    pub async fn node_attestation(&self, node: &NodeId) -> Result<NodeAttestation, ClientError> {
        let found: NodeAttestation = match self.get(&format!("/v1/nodes/{node}/attestation")).await
        {
            Err(ClientError::VerifierRefused { status: 404, .. }) => {
                return Err(ClientError::UnknownHost(*node));
            }
            other => other?,
        };
        if found.node.id != *node || NodeId::of_key(&found.node.node_key) != *node {
            return Err(ClientError::VerifierAnswer(
                "another host than the one asked for",
            ));
        }
        Ok(found)
    }

    fn url(&self, path: &str) -> Result<reqwest::Url, ClientError> {
        self.base
            .join(path)
            .map_err(|_| ClientError::VerifierAnswer("address"))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(self.http.get(self.url(path)?)).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(self.http.post(self.url(path)?).json(body)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        let unreachable = |e: &reqwest::Error| ClientError::VerifierUnreachable {
            url: self.base.to_string(),
            reason: innermost(e),
        };
        let mut response = request.send().await.map_err(|e| unreachable(&e))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| unreachable(&e))? {
            if body.len() + part.len() > MAX_ANSWER {
                return Err(ClientError::VerifierAnswer("it is too large"));
            }
            body.extend_from_slice(&part);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| ClientError::VerifierAnswer("not the JSON that belongs here"));
        }
        Err(refusal(status.as_u16(), &body))
    }
}

/// The verifier's own words, kept short and printable.
fn refusal(status: u16, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => ClientError::VerifierRefused {
            status,
            message: printable(&format!("{} [{}]", error.message, error.code)),
            hint: error.hint.as_deref().map(printable),
        },
        Err(_) => ClientError::VerifierRefused {
            status,
            message: "without a reason".into(),
            hint: None,
        },
    }
}

/// Cuts foreign text and takes control characters out of it: it goes to a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500)
        .collect()
}

fn innermost(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    printable(&source.to_string())
}

fn roots(pem: &[u8]) -> Result<rustls::RootCertStore, ClientError> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| ClientError::VerifierCa)?;
        store
            .add(certificate)
            .map_err(|_| ClientError::VerifierCa)?;
    }
    if store.is_empty() {
        return Err(ClientError::VerifierCa);
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::{Coded as _, Exit};

    #[test]
    fn a_refusal_is_one_printable_line() {
        let body = br#"{"error":{"code":"DB-VER-001","message":"no\u001b[31m\nsuch","hint":"h"}}"#;
        let error = refusal(404, body);
        assert_eq!(
            error.to_string(),
            "the verifier refused: no [31m such [DB-VER-001]"
        );
        assert_eq!(error.hint().as_deref(), Some("h"));
        assert_eq!(refusal(503, b"<html>").exit(), Exit::Busy);
        assert_eq!(refusal(500, b"<html>").exit(), Exit::Unreachable);
    }

    #[test]
    fn a_pinned_authority_must_be_a_certificate() {
        assert!(roots(b"").is_err());
        assert!(roots(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
