//! What can go wrong with a simulated platform.

use std::io;
use std::path::{Path, PathBuf};

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::RandomError;

/// Why there is no simulated platform.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// None was made here.
    #[error("there is no simulated platform in {}", .0.display())]
    Missing(PathBuf),
    /// A file that others can read, or that is no regular file.
    #[error("{} must be a regular file that only its owner can read", .0.display())]
    Permissions(PathBuf),
    /// A file that is not what [`super::create`] writes.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
    /// The cryptographic library failed.
    #[error("keys of the simulated platform could not be made")]
    Crypto,
    /// The system gave no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl SimulatorError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<aws_lc_rs::error::Unspecified> for SimulatorError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl From<der::Error> for SimulatorError {
    fn from(_: der::Error) -> Self {
        Self::Crypto
    }
}

impl Coded for SimulatorError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "DB-ATT-060",
            Self::Missing(_) => "DB-ATT-061",
            Self::Permissions(_) => "DB-ATT-062",
            Self::Damaged(_) => "DB-ATT-063",
            Self::Crypto => "DB-ATT-064",
            Self::Random(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing(_) | Self::Permissions(_) => Exit::Usage,
            Self::Damaged(_) => Exit::Malformed,
            _ => Exit::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing(_) => "`duckblind trust init --simulator DIR` makes one",
            Self::Permissions(_) => "chmod 600, or make it anew",
            Self::Damaged(_) => "remove the directory and make it anew",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
