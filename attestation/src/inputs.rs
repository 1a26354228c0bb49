//! Everything that an appraisal saw, as one blob: whoever has it can run the appraisal again.

use duckblind_protocol::cbor::{self, DecodeError};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, UnixTime};
use minicbor::{Decode, Encode};

use crate::appraise::{Expected, Floors, Inputs};
use crate::evidence::{Endorsements, MAX_COLLATERAL, MAX_EVIDENCE};
use crate::policy::{MAX_POLICY, Policy, PolicyError};

/// Bytes that a blob may have: its parts, and some for what is between them.
pub const MAX_INPUTS: usize = MAX_EVIDENCE + MAX_COLLATERAL + MAX_POLICY + 64 * 1024;
/// The one version.
pub const VERSION: u8 = 1;

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(1)]
    v: u8,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    evidence: Vec<u8>,
    #[n(3)]
    endorsements: Endorsements,
    #[n(4)]
    policy: String,
    #[n(5)]
    expected: Expected,
    #[n(6)]
    floors: Floors,
    #[n(7)]
    now: UnixTime,
}

impl Inputs<'_> {
    /// Canonical bytes of all of them.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Wire {
            v: VERSION,
            evidence: self.evidence.to_vec(),
            endorsements: self.endorsements.clone(),
            policy: self.policy.text().to_owned(),
            expected: self.expected,
            floors: self.floors.clone(),
            now: self.now,
        })
    }
}

/// The inputs of an appraisal, read back.
#[derive(Debug)]
pub struct RecordedInputs {
    evidence: Vec<u8>,
    endorsements: Endorsements,
    policy: Policy,
    expected: Expected,
    floors: Floors,
    now: UnixTime,
}

/// A blob that is none.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// Not canonical bytes of inputs.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The policy in it is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Coded for InputsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Policy(error) => error.code(),
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Decode(error) => error.exit(),
            Self::Policy(error) => error.exit(),
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Decode(error) => error.expected(),
            Self::Policy(error) => error.expected(),
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::Decode(error) => error.got(),
            Self::Policy(error) => error.got(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Decode(error) => error.hint(),
            Self::Policy(error) => error.hint(),
        }
    }
}

impl RecordedInputs {
    /// From canonical bytes within the caps.
    pub fn decode(bytes: &[u8]) -> Result<Self, InputsError> {
        let wire: Wire = cbor::decode(bytes, MAX_INPUTS)?;
        cbor::check_version("inputs", VERSION, wire.v)?;
        Ok(Self {
            evidence: wire.evidence,
            endorsements: wire.endorsements,
            policy: Policy::parse(&wire.policy)?,
            expected: wire.expected,
            floors: wire.floors,
            now: wire.now,
        })
    }

    /// As [`crate::appraise::appraise`] takes them.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            evidence: &self.evidence,
            endorsements: &self.endorsements,
            policy: &self.policy,
            expected: self.expected,
            floors: &self.floors,
            now: self.now,
        }
    }

    /// SHA-256 of the blob.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.inputs().encode())
    }
}

#[cfg(all(test, feature = "simulator"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::appraise::appraise;
    use crate::testing::Case;

    fn blob(case: &Case) -> Vec<u8> {
        let policy = Policy::parse(&case.policy).unwrap();
        Inputs {
            evidence: &case.evidence().encode(),
            endorsements: &case.endorsements,
            policy: &policy,
            expected: case.expected,
            floors: &case.floors,
            now: case.now,
        }
        .encode()
    }

    #[test]
    fn the_same_verdict_again_whatever_it_was() {
        let mut refused = Case::good();
        refused.now = UnixTime(0);
        refused.expected.earlier_epoch = Some(3);
        refused.floors.crl_numbers = [(Digest::of(b"issuer"), 7)].into();
        for (case, accepted) in [(Case::good(), true), (refused, false)] {
            let blob = blob(&case);
            let recorded = RecordedInputs::decode(&blob).unwrap();
            assert_eq!(recorded.inputs().encode(), blob);
            assert_eq!(recorded.digest(), Digest::of(&blob));
            let (one, two) = (appraise(&recorded.inputs()), appraise(&recorded.inputs()));
            assert_eq!(one.checks, two.checks);
            assert_eq!(one.result.is_ok(), accepted);
            assert_eq!(one.floors, two.floors);
        }
    }

    #[test]
    fn what_is_no_blob() {
        let blob = blob(&Case::good());
        for end in [0, 1, blob.len() - 1] {
            assert!(RecordedInputs::decode(&blob[..end]).is_err());
        }
        let mut later = blob.clone();
        // The version is the first value of the map.
        later[2] = 2;
        let error = RecordedInputs::decode(&later).unwrap_err();
        assert_eq!(error.exit(), Exit::Unsupported);
        let text = b"version = 2\nname";
        let at = blob.windows(text.len()).position(|w| w == text).unwrap();
        let mut mistyped = blob;
        mistyped[at] = b'w';
        let error = RecordedInputs::decode(&mistyped).unwrap_err();
        assert_eq!(error.code(), "DB-ATT-042");
    }
}
