//! Which build runs: the release manifest, carried in evidence and listed by policies.

use duckblind_protocol::cbor::{self, DecodeError};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::Digest;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Bytes that an encoded manifest may have.
pub const MAX_RELEASE: usize = 16 * 1024;
/// The one version.
pub const VERSION: u8 = 1;

/// What was built, from what, with what.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct ReleaseManifest {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// SHA-256 of the enclave binary.
    #[n(1)]
    pub binary: Digest,
    /// Source commit, as the version control names it.
    #[n(2)]
    pub commit: String,
    /// SHA-256 of `Cargo.lock`.
    #[n(3)]
    pub lockfile: Digest,
    /// `rustc --version`.
    #[n(4)]
    pub rustc: String,
}

/// A release file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not the JSON of a manifest.
    #[error("the release manifest does not parse: {0}")]
    Malformed(String),
    /// Of another version.
    #[error("the release manifest has version {0}")]
    Version(u8),
}

impl Coded for ReleaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "DB-ATT-070",
            Self::Version(_) => "DB-ATT-071",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Malformed(_) => Exit::Malformed,
            Self::Version(_) => Exit::Unsupported,
        }
    }
    fn expected(&self) -> Option<String> {
        Some(match self {
            Self::Malformed(_) => {
                r#"{"v":1,"binary":hex,"commit":…,"lockfile":hex,"rustc":…}"#.into()
            }
            Self::Version(_) => format!("version {VERSION}"),
        })
    }
    fn hint(&self) -> Option<String> {
        Some("scripts/release-manifest writes it".into())
    }
}

impl ReleaseManifest {
    /// From the JSON file that `scripts/release-manifest` writes.
    pub fn from_json(text: &str) -> Result<Self, ReleaseError> {
        let manifest: Self =
            serde_json::from_str(text).map_err(|e| ReleaseError::Malformed(e.to_string()))?;
        if manifest.v == VERSION {
            Ok(manifest)
        } else {
            Err(ReleaseError::Version(manifest.v))
        }
    }

    /// The JSON file's text, with a newline at its end.
    pub fn to_json(&self) -> String {
        // A struct of strings and a number always serialises.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let manifest: Self = cbor::decode(bytes, MAX_RELEASE)?;
        cbor::check_version("release manifest", VERSION, manifest.v)?;
        Ok(manifest)
    }

    /// SHA-256 of the canonical bytes: what policies list.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sample::release as sample;

    #[test]
    fn both_encodings_round_trip() {
        let manifest = sample();
        assert_eq!(
            ReleaseManifest::decode(&manifest.encode()).unwrap(),
            manifest
        );
        assert_eq!(
            ReleaseManifest::from_json(&manifest.to_json()).unwrap(),
            manifest
        );
    }

    #[test]
    fn unknown_fields_and_versions_are_refused() {
        let text = sample().to_json();
        let extra = text.replacen('{', "{\"x\":1,", 1);
        assert!(matches!(
            ReleaseManifest::from_json(&extra),
            Err(ReleaseError::Malformed(_))
        ));
        let newer = text.replacen("\"v\": 1", "\"v\": 2", 1);
        assert!(matches!(
            ReleaseManifest::from_json(&newer),
            Err(ReleaseError::Version(2))
        ));
        let mut manifest = sample();
        manifest.v = 2;
        assert!(ReleaseManifest::decode(&manifest.encode()).is_err());
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let base = sample();
        let others = [
            ReleaseManifest {
                binary: Digest::of(b"x"),
                ..base.clone()
            },
            ReleaseManifest {
                commit: "x".into(),
                ..base.clone()
            },
            ReleaseManifest {
                lockfile: Digest::of(b"x"),
                ..base.clone()
            },
            ReleaseManifest {
                rustc: "x".into(),
                ..base.clone()
            },
        ];
        for other in others {
            assert_ne!(other.digest(), base.digest());
        }
    }
}
