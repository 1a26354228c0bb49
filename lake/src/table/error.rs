//! Why a table is not read or changed.

use std::path::{Path, PathBuf};

use duckblind_protocol::coded::{Coded, Exit};

use crate::codes::LakeCode;
use crate::keys::KeyError;
use crate::manifest::ManifestError;
use crate::seal::SealError;
use crate::sealed_file::LakeError;

/// An error of a table. Names table, file, column and key id; holds no key and no value.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// About a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Rows cannot be written.
    #[error(transparent)]
    Seal(Box<SealError>),
    /// A manifest is refused.
    #[error("{}: {why}", path.display())]
    Manifest {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: ManifestError,
    },
    /// No `_sealed.json`.
    #[error("{} holds no sealed table", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A table where a new one should be made.
    #[error("{} already holds a sealed table, or what is left of one", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory cannot be read or written.
    #[error("{} cannot be used: {kind}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// Somebody else writes.
    #[error("another writer holds {}", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The manifest changed under the lock.
    #[error("the table in {} was changed without its lock", dir.display())]
    Changed {
        /// The directory.
        dir: PathBuf,
    },
    /// An older snapshot stands as the current one.
    #[error("the table in {} was rolled back", dir.display())]
    RolledBack {
        /// The directory.
        dir: PathBuf,
        /// The current snapshot.
        current: u64,
        /// The newest one that is kept.
        newest: u64,
    },
    /// The snapshot is not there.
    #[error("the table in {} has no snapshot {snapshot}", dir.display())]
    Snapshot {
        /// The directory.
        dir: PathBuf,
        /// Which one.
        snapshot: u64,
    },
    /// A kept snapshot is another than the history says.
    #[error("{} is not the snapshot of the table's history: {why}", path.display())]
    Chain {
        /// The kept manifest.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// A data file cannot be used.
    #[error("table `{table}`, file {path}: {why}")]
    File {
        /// The table.
        table: String,
        /// The file, relative to its directory.
        path: String,
        /// Why.
        why: Box<LakeError>,
    },
    /// The rows of a file cannot be decoded.
    #[error("table `{table}`, file {path}: its rows cannot be decoded: {why}")]
    Rows {
        /// The table.
        table: String,
        /// The file, relative to its directory.
        path: String,
        /// Why.
        why: String,
    },
    /// Rows with other columns.
    #[error("the rows do not fit table `{table}`: {what}")]
    Schema {
        /// The table.
        table: String,
        /// What does not fit.
        what: String,
    },
    /// Nothing would change.
    #[error("there is nothing to do: {why}")]
    Nothing {
        /// Why not.
        why: &'static str,
    },
    /// No such file or column.
    #[error("table `{table}` has no {what}")]
    Unknown {
        /// The table.
        table: String,
        /// What is not there.
        what: String,
    },
}

impl TableError {
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            kind: error.kind(),
        }
    }
}

impl From<SealError> for TableError {
    fn from(error: SealError) -> Self {
        Self::Seal(Box::new(error))
    }
}

impl Coded for TableError {
    fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => return error.code(),
            Self::Seal(error) => return error.code(),
            Self::Manifest { why, .. } => return why.code(),
            Self::File { why, .. } => return why.code(),
            Self::Missing { .. } => LakeCode::TableMissing,
            Self::Exists { .. } => LakeCode::OutputExists,
            Self::Io { .. } => LakeCode::TableIo,
            Self::Locked { .. } => LakeCode::TableLocked,
            Self::Changed { .. } => LakeCode::TableChanged,
            Self::RolledBack { .. } => LakeCode::TableRolledBack,
            Self::Snapshot { .. } => LakeCode::SnapshotMissing,
            Self::Chain { .. } => LakeCode::SnapshotChain,
            Self::Rows { .. } => LakeCode::TableFile,
            Self::Schema { .. } => LakeCode::TableSchema,
            Self::Nothing { .. } => LakeCode::TableNothing,
            Self::Unknown { .. } => LakeCode::FileUnknown,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Key(error) => error.exit(),
            Self::Seal(error) => error.exit(),
            Self::Manifest { why, .. } => why.exit(),
            Self::File { why, .. } => why.exit(),
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::Io { .. }
            | Self::Nothing { .. }
            | Self::Snapshot { .. }
            | Self::Unknown { .. } => Exit::Usage,
            Self::Locked { .. } => Exit::Busy,
            Self::Changed { .. } | Self::RolledBack { .. } | Self::Chain { .. } => Exit::Rejected,
            Self::Rows { .. } | Self::Schema { .. } => Exit::Malformed,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.expected(),
            Self::Seal(error) => error.expected(),
            Self::Manifest { why, .. } => why.expected(),
            Self::File { why, .. } => why.expected(),
            Self::RolledBack { newest, .. } => Some(format!("snapshot {newest} or later")),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.got(),
            Self::Seal(error) => error.got(),
            Self::Manifest { why, .. } => why.got(),
            Self::File { why, .. } => why.got(),
            Self::RolledBack { current, .. } => Some(format!("snapshot {current}")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Key(error) => return error.hint(),
                Self::Seal(error) => return error.hint(),
                Self::Manifest { why, .. } => return why.hint(),
                Self::File { why, .. } => return why.hint(),
                Self::Missing { .. } => "name the directory that `_sealed.json` is in",
                Self::Exists { .. } => {
                    "to add rows: `duckblind table append`; else choose another directory, or remove the old files"
                }
                Self::Io { .. } => "check path, permissions and free space",
                Self::Locked { .. } => {
                    "wait until it is done; the lock ends with the process that holds it"
                }
                Self::Changed { .. } => "look at the table, then run the command again",
                Self::RolledBack { .. } => {
                    "somebody put an older manifest back: take the table from its source again"
                }
                Self::Snapshot { .. } => "`duckblind table snapshots` lists those that are kept",
                Self::Chain { .. } => {
                    "somebody changed the manifest: take it from its source again"
                }
                Self::Rows { .. } => "the file authenticates, so its writer made it like this",
                Self::Schema { .. } => "bring the rows into the table's columns first",
                Self::Nothing { .. } => "no new snapshot was made",
                Self::Unknown { .. } => "`duckblind table show` lists files and columns",
            }
            .into(),
        )
    }
}
