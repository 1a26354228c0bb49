//! Why an enclave is not trusted.

use duckblind_attestation::appraise::Rejected;
use duckblind_attestation::check::Check;
use duckblind_attestation::ear::EarError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, NodeId};

/// Evidence or attestation result that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// No attestation result came with the evidence.
    #[error("the verifier gave no attestation result")]
    NoEar,
    /// The attestation result does not verify under any pinned key.
    #[error(transparent)]
    Ear(EarError),
    /// Its two encodings say different things.
    #[error("the two encodings of the attestation result differ")]
    EncodingsDiffer,
    /// It answers another nonce.
    #[error("the attestation result is for another challenge")]
    Nonce,
    /// It says no, though our own appraisal finds nothing wrong.
    #[error("the verifier refused the evidence: {0}")]
    Negative(String),
    /// It was made under a policy that is not accepted here.
    #[error("the attestation result was made under a policy that is not accepted here")]
    Policy(Digest),
    /// Our own appraisal refuses the evidence, whatever the verifier says.
    #[error("{rejected}")]
    Rejected {
        /// Why.
        rejected: Rejected,
        /// Every check that was made.
        checks: Vec<Check>,
    },
    /// It outlives every key that it can speak for.
    #[error("the attestation result is valid for longer than the enclave keeps a key")]
    Lifetime {
        /// Seconds from its start to its end.
        life: i64,
        /// Seconds that it may have.
        most: i64,
    },
    /// It was made for evidence that another node sent.
    #[error("the attestation result belongs to another node")]
    Node {
        /// The node that was asked for.
        expected: NodeId,
        /// The node that it names.
        got: NodeId,
    },
    /// A simulated platform, and the trust file does not accept one.
    #[error("the platform is simulated")]
    Simulated,
}

impl AdmitError {
    /// Whether the evidence was meant for another one of the pinned signers.
    pub fn is_other_audience(&self) -> bool {
        match self {
            Self::Rejected { rejected, .. } => {
                !rejected.failed.is_empty()
                    && rejected
                        .failed
                        .iter()
                        .all(|check| check.name.ends_with("audience"))
            }
            _ => false,
        }
    }

    /// The checks of our own appraisal, if it came to that.
    pub fn checks(&self) -> &[Check] {
        match self {
            Self::Rejected { checks, .. } => checks,
            _ => &[],
        }
    }
}

impl Coded for AdmitError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoEar => "DB-REQ-020",
            Self::Ear(e) => e.code(),
            Self::EncodingsDiffer => "DB-REQ-021",
            Self::Nonce => "DB-REQ-022",
            Self::Negative(_) => "DB-REQ-023",
            Self::Policy(_) => "DB-REQ-024",
            Self::Rejected { rejected, .. } => rejected.code(),
            Self::Simulated => "DB-REQ-025",
            Self::Lifetime { .. } => "DB-REQ-026",
            Self::Node { .. } => "DB-REQ-027",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Ear(e) => e.exit(),
            Self::Rejected { rejected, .. } => rejected.exit(),
            _ => Exit::Rejected,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Ear(e) => e.expected(),
            Self::Rejected { rejected, .. } => rejected.expected(),
            Self::Policy(_) => Some("one of the policies in the trust file".into()),
            Self::Lifetime { most, .. } => Some(format!("at most {most} s")),
            Self::Node { expected, .. } => Some(format!("node {expected}")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::Ear(e) => e.got(),
            Self::Rejected { rejected, .. } => rejected.got(),
            Self::Policy(digest) => Some(format!("policy {digest}")),
            Self::Lifetime { life, .. } => Some(format!("{life} s")),
            Self::Node { got, .. } => Some(format!("node {got}")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Ear(e) => return e.hint(),
            Self::Rejected { rejected, .. } => return rejected.hint(),
            Self::Nonce => "this is an answer to someone else's question: report it",
            Self::Policy(_) => {
                "if you accept that policy, add it: `duckblind trust update --policy FILE`"
            }
            Self::Simulated => {
                "a simulated platform protects nothing; only `simulator = true` in a development \
                 trust file accepts it"
            }
            Self::EncodingsDiffer | Self::NoEar | Self::Lifetime { .. } | Self::Node { .. } => {
                "the verifier is broken or dishonest: do not use it until this is explained"
            }
            Self::Negative(_) => "`duckblind attest verify` shows every check",
        };
        Some(text.into())
    }
}
