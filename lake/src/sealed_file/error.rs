//! Why a sealed file is not read.

use std::io;

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::Digest;

use super::thrift::BadThrift;
use crate::codes::LakeCode;

/// An error of a sealed file. Holds no data of the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LakeError {
    /// The stored bytes cannot be read.
    #[error("the sealed file cannot be read: {0}")]
    Io(io::ErrorKind),
    /// Another size than the manifest says.
    #[error("the sealed file has another size than its manifest says")]
    Size {
        /// Of the manifest, in bytes.
        expected: u64,
        /// Of the file, in bytes.
        got: u64,
    },
    /// Plaintext Parquet where a sealed file must be.
    #[error("the file is in the clear, but its table is sealed")]
    Plaintext,
    /// No Parquet file at all.
    #[error("the file is no Parquet file")]
    NotParquet,
    /// The file ends too early.
    #[error("the sealed file is cut off")]
    Truncated,
    /// The footer is not the manifest's.
    #[error("the sealed file's footer is not the one in the manifest")]
    FooterDigest {
        /// Of the manifest.
        expected: Digest,
        /// Of the file.
        got: Digest,
    },
    /// The footer does not authenticate under the key.
    #[error("the sealed file does not open with key `{key}`")]
    KeyWrong {
        /// What the key is called.
        key: String,
    },
    /// The key has a length that AES does not know.
    #[error("key `{key}` has a length that AES does not know")]
    KeyLength {
        /// What the key is called.
        key: String,
    },
    /// The footer's key is not there, and without it nothing can be known of the file.
    #[error("the key of the sealed file's footer is missing")]
    FooterKeyMissing,
    /// The footer is in the clear and its signature does not hold under the key.
    #[error("the signature of the sealed file's footer does not hold under key `{key}`")]
    FooterSignature {
        /// What the key is called.
        key: String,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
    /// Neither of the format's two algorithms.
    #[error("the file is encrypted with an unknown algorithm")]
    Algorithm,
    /// File and reader disagree about the AAD prefix.
    #[error("the AAD prefix does not fit: {0}")]
    AadPrefix(&'static str),
    /// Malformed crypto metadata.
    #[error("the sealed file's crypto metadata is malformed: {0}")]
    CryptoForm(&'static str),
    /// The footer is authentic and yet not usable.
    #[error("the sealed file's footer is malformed: {0}")]
    FooterForm(String),
    /// A column is not encrypted.
    #[error("column `{0}` of the sealed file is in the clear")]
    ColumnClear(String),
    /// A column that has a key of its own is under the footer's key.
    #[error("column `{column}` of the sealed file is under the footer's key, not under `{key_id}`")]
    ColumnDowngraded {
        /// The leaf's path.
        column: String,
        /// The id of the key that it should be under.
        key_id: String,
    },
    /// The key of a column that a read touches is not there.
    #[error("the key `{key_id}` of column `{column}` is missing")]
    ColumnKeyMissing {
        /// The leaf's path.
        column: String,
        /// The key's id.
        key_id: String,
    },
    /// A column's metadata does not authenticate under the key.
    #[error("column `{column}` does not open with key `{key}`")]
    ColumnKeyWrong {
        /// The leaf's path.
        column: String,
        /// What the key is called.
        key: String,
    },
    /// A column's chunk carries no tags and nobody knows its digest.
    #[error("nothing authenticates row group {row_group} of column `{column}`")]
    Unauthenticated {
        /// Row group, from 0.
        row_group: i16,
        /// The leaf's path.
        column: String,
    },
    /// A stored chunk is not the one whose digest is known.
    #[error("row group {row_group} of column `{column}` is not the one in the manifest")]
    ChunkDigest {
        /// Row group, from 0.
        row_group: i16,
        /// The leaf's path.
        column: String,
    },
    /// Chunks outside the file, or one over another.
    #[error("the sealed file's layout is impossible: {0}")]
    Layout(&'static str),
    /// A page does not authenticate.
    #[error("page {page} of row group {row_group}, column `{column}` was changed")]
    Tampered {
        /// Row group, from 0.
        row_group: i16,
        /// The leaf's path.
        column: String,
        /// `dictionary`, `(bloom filter)`, or the data page's number from 0.
        page: String,
    },
    /// An authentic page header that is not usable.
    #[error("a page header of row group {row_group}, column `{column}` is malformed")]
    PageForm {
        /// Row group, from 0.
        row_group: i16,
        /// The leaf's path.
        column: String,
    },
}

/// What an error means to the one who asked for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The stored bytes are not to be had.
    Unreadable,
    /// The file is not as long as its manifest says.
    Size,
    /// A key is not there.
    KeyMissing,
    /// The key does not fit the file.
    KeyWrong,
    /// The file was changed, exchanged or cut.
    Tampered,
    /// Intact, but of a kind that is not read here.
    Unsupported,
    /// Written by a broken writer.
    Malformed,
}

impl LakeError {
    /// Of a footer that is no footer.
    pub(super) fn bad_footer(_: BadThrift) -> Self {
        Self::FooterForm("not well-formed, or not as the schema says".into())
    }

    /// The error's class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) | Self::Randomness => ErrorKind::Unreadable,
            Self::Size { .. } => ErrorKind::Size,
            Self::FooterKeyMissing | Self::ColumnKeyMissing { .. } => ErrorKind::KeyMissing,
            Self::KeyWrong { .. } | Self::ColumnKeyWrong { .. } | Self::KeyLength { .. } => {
                ErrorKind::KeyWrong
            }
            Self::Plaintext
            | Self::NotParquet
            | Self::Truncated
            | Self::FooterDigest { .. }
            | Self::AadPrefix(_)
            | Self::CryptoForm(_)
            | Self::FooterSignature { .. }
            | Self::ColumnClear(_)
            | Self::ColumnDowngraded { .. }
            | Self::Unauthenticated { .. }
            | Self::ChunkDigest { .. }
            | Self::Tampered { .. } => ErrorKind::Tampered,
            Self::Algorithm => ErrorKind::Unsupported,
            Self::FooterForm(_) | Self::Layout(_) | Self::PageForm { .. } => ErrorKind::Malformed,
        }
    }
}

impl From<io::Error> for LakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            kind => Self::Io(kind),
        }
    }
}

impl Coded for LakeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => LakeCode::FileIo,
            Self::Size { .. } => LakeCode::FileSize,
            Self::Plaintext => LakeCode::FilePlaintext,
            Self::NotParquet => LakeCode::FileNotParquet,
            Self::Truncated => LakeCode::FileTruncated,
            Self::FooterDigest { .. } => LakeCode::FooterDigest,
            Self::KeyWrong { .. } => LakeCode::KeyWrong,
            Self::KeyLength { .. } => LakeCode::KeyLength,
            Self::FooterKeyMissing => LakeCode::FooterKeyMissing,
            Self::FooterSignature { .. } => LakeCode::FooterSignature,
            Self::ColumnKeyMissing { .. } => LakeCode::ColumnKeyMissing,
            Self::ColumnKeyWrong { .. } => LakeCode::ColumnKeyWrong,
            Self::Unauthenticated { .. } => LakeCode::Unauthenticated,
            Self::ChunkDigest { .. } => LakeCode::ChunkDigest,
            Self::Randomness => LakeCode::Randomness,
            Self::Algorithm => LakeCode::Algorithm,
            Self::AadPrefix(_) => LakeCode::AadPrefix,
            Self::CryptoForm(_) => LakeCode::CryptoForm,
            Self::FooterForm(_) => LakeCode::FooterForm,
            Self::ColumnClear(_) => LakeCode::ColumnClear,
            Self::ColumnDowngraded { .. } => LakeCode::ColumnDowngraded,
            Self::Layout(_) => LakeCode::Layout,
            Self::Tampered { .. } => LakeCode::DataTampered,
            Self::PageForm { .. } => LakeCode::PageForm,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self.kind() {
            ErrorKind::Unreadable => Exit::Internal,
            ErrorKind::Size | ErrorKind::KeyMissing | ErrorKind::KeyWrong | ErrorKind::Tampered => {
                Exit::Rejected
            }
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::Malformed => Exit::Malformed,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Size { expected, .. } => Some(format!("{expected} bytes")),
            Self::FooterDigest { expected, .. } => Some(format!("SHA-256 {expected}")),
            Self::Algorithm => Some("AES_GCM_V1 or AES_GCM_CTR_V1".into()),
            Self::Plaintext => Some("magic PARE at both ends, or a signed footer".into()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Size { got, .. } => Some(format!("{got} bytes")),
            Self::FooterDigest { got, .. } => Some(format!("SHA-256 {got}")),
            Self::Plaintext => Some("an ordinary Parquet file".into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Unauthenticated { column, .. } = self {
            return Some(format!(
                "seal the table again, or read the column as it is with --accept-unauthenticated {column}"
            ));
        }
        Some(
            match self.kind() {
                ErrorKind::KeyMissing => {
                    "give the key with --key-file or DUCKBLIND_KEY_<ID>, or leave the column out of the query"
                }
                ErrorKind::Unreadable => "look at the store that holds the file",
                ErrorKind::Size => "the file was replaced or cut: restore it or seal the table again",
                ErrorKind::KeyWrong => {
                    "give the key that the table was sealed with; a file of another table never opens either"
                }
                ErrorKind::Tampered => {
                    "somebody changed or exchanged the file: restore it or seal the table again"
                }
                ErrorKind::Unsupported => "seal the table with `duckblind seal`",
                ErrorKind::Malformed => "the program that wrote this file is at fault: seal the table again",
            }
            .into(),
        )
    }
}
