//! Why a manifest is refused.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, PublicKey};

use crate::codes::LakeCode;

use super::{MAX_MANIFEST, VERSION};

/// A manifest that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST`].
    #[error("the manifest is too large")]
    Size {
        /// In bytes.
        got: usize,
    },
    /// No JSON, or not of this form.
    #[error("the manifest does not parse")]
    Form {
        /// Line and column, where known.
        at: Option<(usize, usize)>,
    },
    /// A version that is not known here.
    #[error("the manifest has version {got}")]
    Version {
        /// Its version.
        got: u64,
    },
    /// Parses, but is not in canonical form.
    #[error("the manifest is not in canonical form")]
    NotCanonical,
    /// Not the manifest that was asked for.
    #[error("the manifest is not the one that was asked for")]
    Digest {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// Another owner.
    #[error("the manifest has another owner")]
    Owner {
        /// The owner expected.
        expected: PublicKey,
        /// The owner named.
        got: PublicKey,
    },
    /// The signature does not hold.
    #[error("the manifest's signature does not hold")]
    Signature,
    /// Content that no manifest may have.
    #[error("the manifest is not acceptable: {0}")]
    Content(String),
}

impl Coded for ManifestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => LakeCode::ManifestSize,
            Self::Form { .. } => LakeCode::ManifestForm,
            Self::Version { .. } => LakeCode::ManifestVersion,
            Self::NotCanonical => LakeCode::ManifestNotCanonical,
            Self::Digest { .. } => LakeCode::ManifestDigest,
            Self::Owner { .. } => LakeCode::ManifestOwner,
            Self::Signature => LakeCode::ManifestSignature,
            Self::Content(_) => LakeCode::ManifestContent,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Version { .. } => Exit::Unsupported,
            Self::Form { .. } | Self::Size { .. } => Exit::Malformed,
            _ => Exit::Rejected,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Size { .. } => Some(format!("at most {MAX_MANIFEST} bytes")),
            Self::Version { .. } => Some(format!("version {VERSION}")),
            Self::Digest { expected, .. } => Some(format!("SHA-256 {expected}")),
            Self::Owner { expected, .. } => Some(format!("owner {expected}")),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Size { got } => Some(format!("{got} bytes")),
            Self::Form {
                at: Some((line, column)),
            } => Some(format!("an error at line {line}, column {column}")),
            Self::Digest { got, .. } => Some(format!("SHA-256 {got}")),
            Self::Owner { got, .. } => Some(format!("owner {got}")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Size { .. } => "compact the table: it has too many files or chunk digests",
                Self::Version { .. } => "a newer duckblind made this table: update this one",
                Self::Form { .. } | Self::NotCanonical => {
                    "_sealed.json must stay byte for byte as `duckblind seal` wrote it"
                }
                Self::Digest { .. } => {
                    "the table changed since the job was made, or somebody changed it: look at the table, then run again"
                }
                Self::Owner { .. } => "use the owner key that the table was sealed with",
                Self::Signature => "somebody changed the manifest: take the table from its source again",
                Self::Content(_) => "the owner signed something that is never used: seal the table again",
            }
            .into(),
        )
    }
}
