//! What can go wrong on the way to a verifier or a host.

use duckblind_protocol::cbor::DecodeError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::frames::HostCode;
use duckblind_protocol::ids::NodeId;

use crate::files::FileError;

/// The way to a verifier or a host does not work.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of the client's own.
    #[error(transparent)]
    File(#[from] FileError),
    /// No answer from the verifier.
    #[error("the verifier at {url} cannot be reached")]
    VerifierUnreachable {
        /// Its address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The verifier answered with an error of its own.
    #[error("the verifier refused: {message}")]
    VerifierRefused {
        /// HTTP status.
        status: u16,
        /// Its code and text.
        message: String,
        /// Its hint.
        hint: Option<String>,
    },
    /// The verifier's answer is not what the interface says.
    #[error("the verifier's answer is malformed: {0}")]
    VerifierAnswer(&'static str),
    /// The pinned authority of the verifier is no certificate.
    #[error("the verifier's pinned authority is not a PEM certificate")]
    VerifierCa,
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// No host with a current attestation.
    #[error("no attested host is available")]
    NoHost,
    /// The wanted host is not in the registry.
    #[error("host {0} is not in the registry")]
    UnknownHost(NodeId),
    /// An address that is none.
    #[error("invalid host address {0:?}")]
    Address(String),
    /// No connection to the host.
    #[error("host {address} cannot be reached")]
    HostUnreachable {
        /// Where it should be.
        address: String,
        /// What the network said.
        reason: String,
    },
    /// Another key than the pinned one.
    #[error("the host at {address} has another key than the pinned one")]
    HostKey {
        /// Where.
        address: String,
        /// The pinned node id.
        expected: NodeId,
        /// The node id that answered, if it showed an Ed25519 key at all.
        got: Option<NodeId>,
    },
    /// Nothing came for too long.
    #[error("no answer in time: {0}")]
    TimedOut(&'static str),
    /// The connection ended.
    #[error("the connection ended: {0}")]
    Cut(String),
    /// A frame that does not belong here.
    #[error("the host sent something that does not belong here: {0}")]
    Frame(String),
    /// A frame that does not parse.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A message that the enclave should have signed.
    #[error("the {0} is not signed by the attested enclave")]
    NotSigned(&'static str),
    /// A message of the host's own; it proves nothing.
    #[error("the host says: {}", host_text(*.code))]
    HostSays {
        /// What it says.
        code: HostCode,
        /// When to come back.
        retry_after_ms: Option<u32>,
    },
}

/// A host's word, for people.
fn host_text(code: HostCode) -> &'static str {
    match code {
        HostCode::Busy => "busy",
        HostCode::TooLarge => "a message is too large",
        HostCode::EnclaveDown => "the enclave is down",
        HostCode::Idle => "nothing was heard for too long",
        HostCode::Limit => "a limit per requester is reached",
        HostCode::Draining => "shutting down",
        HostCode::NotAllowed => "this requester is not allowed",
    }
}

impl ClientError {
    /// How long the other side asks to wait, if it asks.
    pub fn retry_after_ms(&self) -> Option<u32> {
        match self {
            Self::HostSays { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        }
    }
}

impl Coded for ClientError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(e) => e.code(),
            Self::VerifierUnreachable { .. } => "DB-REQ-040",
            Self::VerifierRefused { .. } => "DB-REQ-041",
            Self::VerifierAnswer(_) => "DB-REQ-042",
            Self::VerifierCa => "DB-REQ-043",
            Self::Tls(_) => "DB-REQ-044",
            Self::NoHost => "DB-REQ-045",
            Self::UnknownHost(_) => "DB-REQ-046",
            Self::Address(_) => "DB-REQ-047",
            Self::HostUnreachable { .. } => "DB-REQ-048",
            Self::HostKey { .. } => "DB-REQ-049",
            Self::TimedOut(_) => "DB-REQ-050",
            Self::Cut(_) => "DB-REQ-051",
            Self::Frame(_) => "DB-REQ-052",
            Self::Decode(e) => e.code(),
            Self::NotSigned(_) => "DB-REQ-053",
            Self::HostSays { .. } => "DB-REQ-054",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::VerifierUnreachable { .. }
            | Self::NoHost
            | Self::HostUnreachable { .. }
            | Self::TimedOut(_)
            | Self::Cut(_) => Exit::Unreachable,
            Self::VerifierRefused { status, .. } => match status {
                429 | 503 => Exit::Busy,
                500.. => Exit::Unreachable,
                _ => Exit::Rejected,
            },
            Self::VerifierAnswer(_) | Self::Frame(_) | Self::Decode(_) => Exit::Malformed,
            Self::VerifierCa | Self::UnknownHost(_) | Self::Address(_) => Exit::Usage,
            Self::Tls(_) => Exit::Internal,
            Self::HostKey { .. } | Self::NotSigned(_) => Exit::Rejected,
            Self::HostSays { code, .. } => match code {
                HostCode::Busy | HostCode::Limit | HostCode::Draining => Exit::Busy,
                HostCode::EnclaveDown | HostCode::Idle => Exit::Unreachable,
                HostCode::TooLarge => Exit::Usage,
                HostCode::NotAllowed => Exit::Rejected,
            },
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::File(e) => e.expected(),
            Self::Decode(e) => e.expected(),
            Self::HostKey { expected, .. } => Some(format!("node {expected}")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::File(e) => e.got(),
            Self::Decode(e) => e.got(),
            Self::VerifierUnreachable { reason, .. } | Self::HostUnreachable { reason, .. } => {
                Some(reason.clone())
            }
            Self::VerifierRefused { status, .. } => Some(format!("HTTP {status}")),
            Self::HostKey { got, .. } => Some(match got {
                Some(node) => format!("node {node}"),
                None => "no Ed25519 key".into(),
            }),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::File(e) => return e.hint(),
            Self::Decode(e) => return e.hint(),
            Self::VerifierRefused { hint, .. } => return hint.clone(),
            Self::VerifierUnreachable { .. } => {
                "is it running? Its address is `verifier.url` in the trust file"
            }
            Self::VerifierCa => {
                "name the PEM file of its authority: `verifier.ca` in the trust file"
            }
            Self::NoHost => {
                "hosts appear once their evidence was appraised; `duckblind hosts` lists them"
            }
            Self::UnknownHost(_) => "`duckblind hosts` lists the hosts",
            Self::Address(_) => "write it as IP:PORT",
            Self::HostUnreachable { .. } => {
                "UDP must reach the host; `duckblind hosts` lists others"
            }
            Self::HostKey { .. } => {
                "someone else answers at this address, or the host was set up anew: ask its operator"
            }
            Self::TimedOut(_) | Self::Cut(_) => {
                "run the command again; if it stays so, take another host with --node"
            }
            Self::NotSigned(_) => {
                "the host answered in the enclave's place, or the enclave is another one by now"
            }
            Self::HostSays { code, .. } => match code {
                HostCode::Busy | HostCode::Limit | HostCode::Draining => {
                    "try again later, with --wait, or take another host with --node"
                }
                HostCode::NotAllowed => {
                    "the operator lists who may connect; yours is shown by `duckblind keys show`"
                }
                _ => "take another host with --node",
            },
            Self::VerifierAnswer(_) | Self::Tls(_) | Self::Frame(_) => return None,
        };
        Some(text.into())
    }
}
