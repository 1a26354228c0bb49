//! The bodies as the OpenAPI document describes them. The words both ends speak are in
//! `duckblind_protocol::http`, which knows nothing of documents; a test holds the two together.

use utoipa::{IntoParams, ToSchema};

/// What a machine may be given: `l0` public data only, `l2` sealed data.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Class {
    /// A commodity machine.
    L0,
    /// An attested enclave.
    L2,
}

/// Headers of a request signed by a node.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct SignedHeaders {
    /// The node's id, 64 hex digits: SHA-256 of its Ed25519 key.
    #[param(rename = "duckblind-node")]
    pub node: String,
    /// A live nonce from `/v1/nonces`, 64 hex digits; used up by the request.
    #[param(rename = "duckblind-nonce")]
    pub nonce: String,
    /// Ed25519 over tag, method, path, SHA-256 of the body and nonce; 128 hex digits.
    #[param(rename = "duckblind-signature")]
    pub signature: String,
}

/// Opens a challenge.
#[derive(ToSchema)]
pub struct ChallengeBody {
    /// Commitment to the requester's own nonce, 64 hex digits.
    pub requester_nonce_commitment: Option<String>,
}

/// An open challenge.
#[derive(ToSchema)]
pub struct ChallengeReply {
    /// Names the challenge; 32 hex digits.
    pub id: String,
    /// The verifier's part of the nonce, 64 hex digits.
    pub verifier_nonce: String,
    /// Milliseconds until it is forgotten.
    pub expires_ms: u64,
}

/// Evidence to appraise.
#[derive(ToSchema)]
pub struct AppraisalBody {
    /// The challenge that the evidence answers.
    pub challenge: String,
    /// Base64 of the evidence envelope, at most 2 MiB decoded.
    pub evidence: String,
    /// The requester's nonce, if the challenge holds a commitment.
    pub requester_nonce: Option<String>,
}

/// One line of an appraisal.
#[derive(ToSchema)]
pub struct CheckLine {
    /// What was checked.
    pub name: String,
    /// Its reason code.
    pub reason: String,
    /// Whether it held.
    pub pass: bool,
    /// What the policy wants.
    pub expected: Option<String>,
    /// What the evidence has.
    pub got: Option<String>,
}

/// A signed result.
#[derive(ToSchema)]
pub struct AppraisalReply {
    /// `affirming`, `warning` or `contraindicated`.
    pub verdict: String,
    /// Codes of the failed checks.
    pub reasons: Vec<String>,
    /// The signed result as a JWT.
    pub ear_jwt: String,
    /// The same claims as COSE, base64.
    pub ear_cose: String,
    /// The vendor's documents beside those in the evidence, base64 of canonical CBOR.
    pub endorsements: String,
    /// Every check.
    pub checks: Vec<CheckLine>,
}

/// A nonce for one signed request.
#[derive(ToSchema)]
pub struct NonceReply {
    /// 64 hex digits.
    pub nonce: String,
    /// Milliseconds until it is forgotten.
    pub expires_ms: u64,
}

/// A node that enrols.
#[derive(ToSchema)]
pub struct EnrolBody {
    /// Its Ed25519 transport key, 64 hex digits.
    pub node_key: String,
    /// Where requesters reach it, `host:port`.
    pub address: String,
    /// What it claims to be.
    pub class: Class,
    /// The operator's enrolment token, if one is asked for.
    pub token: Option<String>,
}

/// Evidence of a node.
#[derive(ToSchema)]
pub struct NodeAttestationBody {
    /// The challenge that the evidence answers.
    pub challenge: String,
    /// Base64 of the evidence envelope, at most 2 MiB decoded.
    pub evidence: String,
}

/// One node.
#[derive(ToSchema)]
pub struct NodeInfo {
    /// SHA-256 of its key, hex.
    pub id: String,
    /// Its Ed25519 transport key, hex.
    pub node_key: String,
    /// Where to reach it.
    pub address: String,
    /// What it claims to be.
    pub class: Class,
    /// Unix seconds at which its result ends.
    pub attested_until: Option<i64>,
    /// Verdict of its result: the last good one until its end, then the newest.
    pub verdict: Option<String>,
    /// Whether its platform is a simulated one.
    pub sim: bool,
    /// Seconds since it was last heard of.
    pub last_seen_s: u64,
    /// `last-attestation-refused CODES`, `chip-under-two-nodes first=NODE also=NODE`,
    /// `instance-under-two-nodes first=NODE also=NODE`.
    pub flags: Vec<String>,
}

/// Nodes by id.
#[derive(ToSchema)]
pub struct NodeList {
    /// The nodes.
    pub nodes: Vec<NodeInfo>,
}

/// A node's evidence and result: the last good ones until their end, then the newest.
#[derive(ToSchema)]
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

/// Why a request was not answered.
#[derive(ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What an error says.
#[derive(ToSchema)]
pub struct ErrorDetail {
    /// Stable code, `DB-VER-0xx`.
    pub code: String,
    /// One line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// JSON Web Keys (RFC 7517, RFC 8037).
#[derive(ToSchema)]
pub struct KeySet {
    /// The current key first.
    pub keys: Vec<Key>,
}

/// An Ed25519 public key.
#[derive(ToSchema)]
pub struct Key {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    pub r#use: String,
    /// Key id, as in the results' headers.
    pub kid: String,
    /// The key, base64url.
    pub x: String,
}

/// How the service is.
#[derive(ToSchema)]
pub struct Health {
    /// `ok`, or what is wrong.
    pub status: String,
}

/// `{}`.
#[derive(ToSchema)]
pub struct Empty {}
