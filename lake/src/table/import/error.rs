//! Why files are not imported.

use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};

use super::super::error::TableError;
use crate::codes::LakeCode;
use crate::sealed_file::{ErrorKind, LakeError};

/// An error of an import. Names file, column and key metadata; holds no key.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// About the table that is being made.
    #[error(transparent)]
    Table(Box<TableError>),
    /// A key is not there.
    #[error("no key for {} of file {file}", column.as_ref().map_or("the footer".into(), |path| format!("column `{path}`")))]
    Key {
        /// The file.
        file: String,
        /// The leaf column; none for the footer.
        column: Option<String>,
        /// What the file says of the key, shortened.
        metadata: Option<String>,
    },
    /// A file cannot be used.
    #[error("file {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: LakeError,
    },
    /// A key of its own was asked for, and the column has none.
    #[error("file {file} has no key of its own for `{column}`")]
    Column {
        /// The file.
        file: String,
        /// The leaf column.
        column: String,
    },
    /// Two columns that SQL cannot tell apart.
    #[error(
        "columns `{one}` and `{other}` have one name, for upper and lower case are the same in SQL"
    )]
    Names {
        /// One name or path.
        one: String,
        /// The other.
        other: String,
    },
    /// The files differ.
    #[error("file {file} does not fit the files before it: {what}")]
    Mixed {
        /// The file.
        file: String,
        /// What differs.
        what: String,
    },
    /// Not the layout that was promised.
    #[error("{}: {why}", path.display())]
    Layout {
        /// The file of the layout.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

impl From<TableError> for ImportError {
    fn from(error: TableError) -> Self {
        Self::Table(Box::new(error))
    }
}

impl Coded for ImportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Table(error) => return error.code(),
            Self::Key { .. } => LakeCode::ImportKey,
            Self::File { .. } => LakeCode::ImportFile,
            Self::Column { .. } => LakeCode::ImportColumn,
            Self::Names { .. } => LakeCode::ImportNames,
            Self::Mixed { .. } => LakeCode::ImportMixed,
            Self::Layout { .. } => LakeCode::ImportLayout,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Table(error) => error.exit(),
            Self::Key { .. } => Exit::Rejected,
            Self::Column { .. } => Exit::Usage,
            Self::File { why, .. } if why.kind() == ErrorKind::Unreadable => Exit::Usage,
            Self::File { why, .. } => why.exit(),
            Self::Names { .. } | Self::Mixed { .. } | Self::Layout { .. } => Exit::Malformed,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Table(error) => error.expected(),
            Self::Key {
                metadata: Some(metadata),
                ..
            } => Some(format!("the key of which the file says `{metadata}`")),
            Self::File { why, .. } => why.expected(),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Table(error) => error.got(),
            Self::File { why, .. } => why.got(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Table(error) => return error.hint(),
                Self::Key { .. } => {
                    "give it by column, by key metadata, or give the master key that wraps it"
                }
                Self::File {
                    why: LakeError::AadPrefix(_),
                    ..
                } => "nothing was signed: --aad-prefix HEX is for files that do not store theirs, and only for them",
                Self::File { .. } => "nothing was signed: check the file and its keys",
                Self::Column { .. } => {
                    "the footer's key is for it too: import it without --encrypt-column, or rewrite the file"
                }
                Self::Names { .. } => "rename one of them where the files are written",
                Self::Mixed { .. } => "import them as tables of their own",
                Self::Layout { .. } => "nothing was signed: bring the table into order first",
            }
            .into(),
        )
    }
}
