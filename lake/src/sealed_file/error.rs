//! Why a sealed file is not read.

use std::io;

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::Digest;

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
    /// Another algorithm than AES_GCM_V1.
    #[error("the file is encrypted with {0}, which is not supported")]
    Algorithm(&'static str),
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
    /// A column has its own key.
    #[error("column `{0}` has a key of its own, which is not supported")]
    ColumnKey(String),
    /// Chunks outside the file, or one over another.
    #[error("the sealed file's layout is impossible: {0}")]
    Layout(&'static str),
    /// A page does not authenticate.
    #[error("page {page} of row group {row_group}, column {column} was changed")]
    Tampered {
        /// Row group, from 0.
        row_group: i16,
        /// Leaf column, from 0.
        column: i16,
        /// `dictionary`, or the data page's number from 0.
        page: String,
    },
    /// An authentic page header that is not usable.
    #[error("a page header of row group {row_group}, column {column} is malformed")]
    PageForm {
        /// Row group, from 0.
        row_group: i16,
        /// Leaf column, from 0.
        column: i16,
    },
}

/// What an error means to the one who asked for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The stored bytes are not to be had.
    Unreadable,
    /// The file is not as long as its manifest says.
    Size,
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
    /// The error's class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) => ErrorKind::Unreadable,
            Self::Size { .. } => ErrorKind::Size,
            Self::KeyWrong { .. } | Self::KeyLength { .. } => ErrorKind::KeyWrong,
            Self::Plaintext
            | Self::NotParquet
            | Self::Truncated
            | Self::FooterDigest { .. }
            | Self::AadPrefix(_)
            | Self::CryptoForm(_)
            | Self::ColumnClear(_)
            | Self::Tampered { .. } => ErrorKind::Tampered,
            Self::Algorithm(_) | Self::ColumnKey(_) => ErrorKind::Unsupported,
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
            Self::Algorithm(_) => LakeCode::Algorithm,
            Self::AadPrefix(_) => LakeCode::AadPrefix,
            Self::CryptoForm(_) => LakeCode::CryptoForm,
            Self::FooterForm(_) => LakeCode::FooterForm,
            Self::ColumnClear(_) => LakeCode::ColumnClear,
            Self::ColumnKey(_) => LakeCode::ColumnKey,
            Self::Layout(_) => LakeCode::Layout,
            Self::Tampered { .. } => LakeCode::DataTampered,
            Self::PageForm { .. } => LakeCode::PageForm,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self.kind() {
            ErrorKind::Unreadable => Exit::Internal,
            ErrorKind::Size | ErrorKind::KeyWrong | ErrorKind::Tampered => Exit::Rejected,
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::Malformed => Exit::Malformed,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Size { expected, .. } => Some(format!("{expected} bytes")),
            Self::FooterDigest { expected, .. } => Some(format!("SHA-256 {expected}")),
            Self::Algorithm(_) => Some("AES_GCM_V1, one key, encrypted footer".into()),
            Self::Plaintext => Some("magic PARE at both ends".into()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Size { got, .. } => Some(format!("{got} bytes")),
            Self::FooterDigest { got, .. } => Some(format!("SHA-256 {got}")),
            Self::Plaintext => Some("magic PAR1".into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self.kind() {
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
