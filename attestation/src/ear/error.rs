//! Why an EAR counts for nothing.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::UnixTime;

/// Why an EAR is refused, or could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarError {
    /// Not the encoding of an EAR of this profile.
    #[error("the attestation result is malformed: {0}")]
    Malformed(&'static str),
    /// Signed by a key that is not pinned.
    #[error("the attestation result is signed by an unknown key")]
    UnknownKey {
        /// The key id that it names.
        kid: String,
    },
    /// The signature does not hold.
    #[error("the signature of the attestation result does not verify")]
    Signature,
    /// Past its end.
    #[error("the attestation result has expired")]
    Expired {
        /// Its end.
        exp: UnixTime,
        /// The time it was looked at.
        now: UnixTime,
    },
    /// From the future.
    #[error("the attestation result is from the future")]
    NotYetValid {
        /// Its beginning.
        iat: UnixTime,
        /// The time it was looked at.
        now: UnixTime,
    },
    /// Claims that contradict each other.
    #[error("the attestation result contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// Says something else than our own appraisal of the same evidence.
    #[error("the attestation result differs from our own appraisal in {0}")]
    Differs(&'static str),
    /// Could not be signed.
    #[error("the attestation result could not be signed")]
    Signing,
}

impl Coded for EarError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "DB-ATT-050",
            Self::UnknownKey { .. } => "DB-ATT-051",
            Self::Signature => "DB-ATT-052",
            Self::Expired { .. } => "DB-ATT-053",
            Self::NotYetValid { .. } => "DB-ATT-054",
            Self::Inconsistent(_) => "DB-ATT-055",
            Self::Differs(_) => "DB-ATT-056",
            Self::Signing => "DB-ATT-057",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Expired { .. } => Exit::Stale,
            Self::Signing => Exit::Internal,
            _ => Exit::Rejected,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Expired { exp, .. } => Some(format!("a time before {exp}")),
            Self::NotYetValid { iat, .. } => Some(format!("a time after {iat}")),
            Self::UnknownKey { .. } => Some("a signer that the trust file pins".into()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Expired { now, .. } | Self::NotYetValid { now, .. } => Some(now.to_string()),
            Self::UnknownKey { kid } => Some(kid.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Expired { .. } => "ask the verifier for a fresh one",
            Self::NotYetValid { .. } => "check the clocks of this machine and of the verifier",
            Self::UnknownKey { .. } => "pin the verifier's key in the trust file if you trust it",
            Self::Differs(_) => {
                "the verifier judged other evidence, or by another policy: do not trust it"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
