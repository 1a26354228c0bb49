//! The verifier's HTTP interface: JSON bodies and how nodes sign their requests.

use serde::{Deserialize, Serialize};

use crate::ids::{ChallengeId, Digest, NodeId, Nonce, PublicKey};
use crate::labels;
use crate::order::Class;

/// Header: the node's id.
pub const HEADER_NODE: &str = "duckblind-node";
/// Header: the server nonce that the request uses up.
pub const HEADER_NONCE: &str = "duckblind-nonce";
/// Header: hex of the node key's signature over [`signing_bytes`].
pub const HEADER_SIGNATURE: &str = "duckblind-signature";
/// Bytes that a request body may have.
pub const MAX_BODY: usize = 4 << 20;

/// What a node signs: tag ‖ method ‖ LF ‖ path ‖ LF ‖ SHA-256(body) ‖ server nonce. `path` starts
/// with `/` and holds no line feed.
pub fn signing_bytes(method: &str, path: &str, body: &[u8], server_nonce: &Nonce) -> Vec<u8> {
    [
        labels::SIGN_HTTP.as_bytes(),
        method.as_bytes(),
        b"\n",
        path.as_bytes(),
        b"\n",
        Digest::of(body).as_bytes(),
        server_nonce.as_bytes(),
    ]
    .concat()
}

/// `POST /v1/challenges`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeBody {
    /// See [`crate::key_statement::nonce_commitment`]; none for routine attestation.
    #[serde(default)]
    pub requester_nonce_commitment: Option<Digest>,
}

/// Answer to [`ChallengeBody`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeReply {
    /// Names the challenge when its evidence is posted.
    pub id: ChallengeId,
    /// The verifier's part of the nonce, single use.
    pub verifier_nonce: Nonce,
    /// Milliseconds until it is forgotten.
    pub expires_ms: u64,
}

/// `POST /v1/appraisals`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppraisalBody {
    /// The challenge that the evidence answers; used up by this request.
    pub challenge: ChallengeId,
    /// Base64 of the evidence envelope.
    pub evidence: String,
    /// Must match the commitment, if there was one.
    #[serde(default)]
    pub requester_nonce: Option<Nonce>,
}

/// One line of an appraisal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckLine {
    /// What was checked.
    pub name: String,
    /// Its reason code.
    pub reason: String,
    /// Whether it held.
    pub pass: bool,
    /// What the policy wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the evidence has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
}

/// Answer to [`AppraisalBody`] and to a node's attestation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppraisalReply {
    /// `affirming`, `warning` or `contraindicated`.
    pub verdict: String,
    /// Codes of the failed checks.
    pub reasons: Vec<String>,
    /// The signed result as a JWT.
    pub ear_jwt: String,
    /// The same claims as COSE, base64.
    pub ear_cose: String,
    /// What the verifier had of the vendor's documents beside those in the evidence, base64 of
    /// canonical CBOR: with them, anyone comes to the same result.
    pub endorsements: String,
    /// Every check.
    pub checks: Vec<CheckLine>,
}

/// Answer to `POST /v1/nonces`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NonceReply {
    /// For one signed request.
    pub nonce: Nonce,
    /// Milliseconds until it is forgotten.
    pub expires_ms: u64,
}

/// `POST /v1/nodes`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// The node's transport key; its id is the key's hash.
    pub node_key: PublicKey,
    /// Where requesters reach it, `host:port`.
    pub address: String,
    /// What it claims to be.
    pub class: Class,
    /// The operator's enrolment token, if one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// `POST /v1/nodes/{id}/attestation`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAttestationBody {
    /// The challenge that the evidence answers.
    pub challenge: ChallengeId,
    /// Base64 of the evidence envelope.
    pub evidence: String,
}

/// One node as the registry shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Hash of its key.
    pub id: NodeId,
    /// Its transport key.
    pub node_key: PublicKey,
    /// Where to reach it.
    pub address: String,
    /// What it claims to be.
    pub class: Class,
    /// Unix seconds at which its attestation result ends; none if it has none.
    pub attested_until: Option<i64>,
    /// Verdict of its newest attestation result.
    pub verdict: Option<String>,
    /// Whether its platform is a simulated one.
    pub sim: bool,
    /// Seconds since it was last heard of.
    pub last_seen_s: u64,
    /// What is odd about it, such as `chip-under-two-nodes`.
    pub flags: Vec<String>,
}

/// Answer to `GET /v1/nodes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeList {
    /// Sorted by id.
    pub nodes: Vec<NodeInfo>,
}

/// Answer to `GET /v1/nodes/{id}/attestation`: what a requester appraises again itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeAttestation {
    /// The node.
    pub node: NodeInfo,
    /// Base64 of the evidence envelope.
    pub evidence: String,
    /// The vendor's documents beside those in the evidence, base64 of canonical CBOR.
    pub endorsements: String,
    /// The signed result as a JWT.
    pub ear_jwt: String,
    /// The same claims as COSE, base64.
    pub ear_cose: String,
}

/// An error's body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What an error says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// Stable code.
    pub code: String,
    /// One line.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
