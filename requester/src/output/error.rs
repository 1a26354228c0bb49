//! Why a result cannot be written.

use duckblind_protocol::coded::{Coded, Exit};

use crate::files::FileError;

/// A result that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file's place.
    #[error(transparent)]
    File(#[from] FileError),
    /// Stdout or the disk.
    #[error("the result cannot be written")]
    Write(#[source] std::io::Error),
    /// Whoever read the result has read enough.
    #[error("nobody reads the result any more")]
    Closed,
    /// The format cannot hold the columns.
    #[error("the result cannot be written as {format}")]
    Format {
        /// Which format.
        format: &'static str,
        /// What it says.
        reason: String,
    },
    /// Bytes that a terminal cannot show.
    #[error("a binary format is not written to a terminal")]
    Terminal,
    /// A result without columns.
    #[error("the result has no columns")]
    NoSchema,
}

impl OutputError {
    /// For `map_err` on writing the result.
    pub(super) fn write(source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Write(source),
        }
    }
}

impl Coded for OutputError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(e) => e.code(),
            Self::Write(_) => "DB-REQ-070",
            Self::Format { .. } => "DB-REQ-071",
            Self::Terminal => "DB-REQ-072",
            Self::NoSchema => "DB-REQ-073",
            Self::Closed => "DB-REQ-074",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::Format { .. } => Exit::Unsupported,
            Self::Write(_) | Self::Terminal => Exit::Usage,
            Self::Closed => Exit::Cancelled,
            Self::NoSchema => Exit::Malformed,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::File(e) => e.expected(),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::File(e) => e.got(),
            Self::Write(e) => Some(e.to_string()),
            Self::Format { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(e) => e.hint(),
            Self::Format { .. } => {
                Some("cast nested columns in the query, or use --format parquet or arrow".into())
            }
            Self::Write(_) => {
                Some("is there space left? `df -h` says so; or write elsewhere with -o".into())
            }
            Self::Terminal => Some("name a file with -o, or pipe stdout".into()),
            _ => None,
        }
    }
}
