//! Why a table is not sealed.

use std::path::PathBuf;

use arrow::error::ArrowError;
use duckblind_protocol::coded::{Coded, Exit};
use parquet::errors::ParquetError;

use super::csv_options::ColumnType;
use crate::codes::LakeCode;
use crate::keys::KeyError;
use crate::manifest::ManifestError;
use crate::names::BadTableName;
use crate::sealed_file::LakeError;
use crate::table::TableError;

/// Column names that an error lists.
const SHOWN_COLUMNS: usize = 20;

/// An error of the sealer. Names places in the input, never its values.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The table's name.
    #[error(transparent)]
    Name(#[from] BadTableName),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The table's directory.
    #[error(transparent)]
    Directory(Box<TableError>),
    /// No input was given.
    #[error("nothing to seal")]
    NoInput,
    /// An input cannot be opened or read.
    #[error("input {} cannot be read: {kind}", path.display())]
    Input {
        /// Which one.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The file name says no known format.
    #[error("input {} is in no known format", path.display())]
    Format {
        /// Which one.
        path: PathBuf,
    },
    /// Something in an input is wrong.
    #[error("input {}{}: {what}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// The line, counted from 1, where lines exist.
        line: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// A CSV line with more or fewer fields than the header.
    #[error("input {}{}: expected {counts} fields", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Fields {
        /// Which one.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<u64>,
        /// How many there should be and how many there are.
        counts: String,
    },
    /// A CSV field does not have the type that was given for its column.
    #[error("input {}{}: a value of column `{column}` is no {wanted}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Value {
        /// Which one.
        path: PathBuf,
        /// The line of its record, counted from 1.
        line: Option<u64>,
        /// The column.
        column: String,
        /// Its type.
        wanted: ColumnType,
    },
    /// A type was given for a column that is not there.
    #[error("no column `{name}` that could have a type")]
    UnknownColumn {
        /// As it was given.
        name: String,
        /// The columns there are.
        known: Vec<String>,
    },
    /// Two types were given for one column.
    #[error("two types for column `{name}`")]
    TwoTypes {
        /// Which column.
        name: String,
    },
    /// Options for CSV, and no such input.
    #[error("a delimiter or column types, but no CSV input")]
    NoCsv,
    /// An input is encrypted.
    #[error("input {} is encrypted already", path.display())]
    Encrypted {
        /// Which one.
        path: PathBuf,
    },
    /// Inputs with different columns.
    #[error("input {} does not fit the inputs before it: {what}", path.display())]
    Schema {
        /// Which one.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// An input that does not fit the table that it is for.
    #[error("input {} does not fit the table: {what}", path.display())]
    Table {
        /// Which one.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// Rows that do not fit the table that they are for.
    #[error("column `{column}` {what}")]
    Unfit {
        /// Which column.
        column: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A name that should be a column's and is not.
    #[error("no column `{name}` that could be {purpose}")]
    NoSuchColumn {
        /// What was to become of it, such as `encrypted`.
        purpose: &'static str,
        /// As it was given.
        name: String,
        /// The columns there are.
        known: Vec<String>,
    },
    /// Two leaf columns whose paths read the same.
    #[error("two columns are called `{path}`")]
    AmbiguousPath {
        /// Their path.
        path: String,
    },
    /// Column keys for no column at all, and everything else in the clear.
    #[error("nothing would be encrypted")]
    NothingEncrypted,
    /// A column that cannot be sorted or partitioned by.
    #[error("column `{name}` {what}")]
    LayoutColumn {
        /// Which one.
        name: String,
        /// Why not.
        what: String,
    },
    /// A partition column that is to be encrypted.
    #[error("column `{name}` cannot be encrypted: the table is partitioned by it")]
    PartitionEncrypted {
        /// Which one.
        name: String,
    },
    /// A value that is too long for the name of a directory.
    #[error("a value of partition column `{column}` is too long for the name of a directory")]
    PartitionPath {
        /// Which column.
        column: String,
    },
    /// What was put aside did not come back.
    #[error("temporary data was changed or cannot be read")]
    Spill,
    /// There is a table already.
    #[error("{} already holds a sealed table", path.display())]
    Exists {
        /// The output directory.
        path: PathBuf,
    },
    /// Writing failed.
    #[error("{} cannot be written: {kind}", path.display())]
    Output {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The data cannot be written as Parquet.
    #[error("the table cannot be written as Parquet: {0}")]
    Parquet(String),
    /// What was just written does not pass the check.
    #[error("{} was written wrongly: {why}", path.display())]
    Check {
        /// Which file.
        path: PathBuf,
        /// What the check found.
        why: Box<LakeError>,
    },
    /// What was just written is not protected as it should be.
    #[error("{} is not protected as planned: {what}", path.display())]
    Clear {
        /// Which file.
        path: PathBuf,
        /// Which part of it.
        what: String,
    },
    /// More files than a manifest names.
    #[error("the table needs more files than a manifest can name")]
    TooLarge,
}

impl From<TableError> for SealError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Seal(error) => *error,
            TableError::Key(error) => Self::Key(error),
            TableError::Manifest { why, .. } => Self::Manifest(why),
            TableError::Exists { dir } => Self::Exists { path: dir },
            TableError::Io { path, kind } => Self::Output { path, kind },
            other => Self::Directory(Box::new(other)),
        }
    }
}

impl From<ParquetError> for SealError {
    fn from(error: ParquetError) -> Self {
        let text = error.to_string();
        // A disk that is full is not the data's fault.
        match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(io) => Self::Output {
                    path: "the output".into(),
                    kind: io.kind(),
                },
                Err(_) => Self::Parquet(text),
            },
            _ => Self::Parquet(text),
        }
    }
}

impl From<ArrowError> for SealError {
    fn from(error: ArrowError) -> Self {
        Self::Parquet(error.to_string())
    }
}

impl SealError {
    /// A key that is missing for a new table was never made.
    pub(super) fn of_new_table(self) -> Self {
        match self {
            Self::Key(KeyError::Missing {
                id,
                variable,
                files,
            }) => Self::Key(KeyError::NotMade {
                id,
                variable,
                files,
            }),
            other => other,
        }
    }
}

impl Coded for SealError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name(error) => return error.code(),
            Self::Key(error) => return error.code(),
            Self::Manifest(error) => return error.code(),
            Self::Directory(error) => return error.code(),
            Self::NoInput | Self::Input { .. } => LakeCode::InputMissing,
            Self::Format { .. } => LakeCode::InputFormat,
            Self::Malformed { .. } | Self::Fields { .. } => LakeCode::InputMalformed,
            Self::Value { .. } => LakeCode::InputType,
            Self::UnknownColumn { .. } | Self::TwoTypes { .. } | Self::NoCsv => {
                LakeCode::InputColumn
            }
            Self::Encrypted { .. } => LakeCode::InputEncrypted,
            Self::Schema { .. } | Self::Table { .. } | Self::Unfit { .. } => LakeCode::InputSchema,
            Self::NoSuchColumn { .. } | Self::AmbiguousPath { .. } => LakeCode::NoSuchColumn,
            Self::NothingEncrypted => LakeCode::NothingEncrypted,
            Self::LayoutColumn { .. } => LakeCode::LayoutColumn,
            Self::PartitionEncrypted { .. } => LakeCode::PartitionEncrypted,
            Self::PartitionPath { .. } => LakeCode::PartitionPath,
            Self::Spill => LakeCode::Spill,
            Self::Exists { .. } => LakeCode::OutputExists,
            Self::Output { .. } => LakeCode::OutputIo,
            Self::Parquet(_) => LakeCode::OutputParquet,
            Self::Check { .. } | Self::Clear { .. } => LakeCode::OutputClear,
            Self::TooLarge => LakeCode::OutputTooLarge,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Name(error) => error.exit(),
            Self::Key(error) => error.exit(),
            Self::Manifest(error) => error.exit(),
            Self::Directory(error) => error.exit(),
            Self::NoInput
            | Self::Input { .. }
            | Self::UnknownColumn { .. }
            | Self::TwoTypes { .. }
            | Self::NoCsv
            | Self::NoSuchColumn { .. }
            | Self::NothingEncrypted
            | Self::LayoutColumn { .. }
            | Self::PartitionEncrypted { .. }
            | Self::Exists { .. }
            | Self::Output { .. } => Exit::Usage,
            Self::Format { .. }
            | Self::Encrypted { .. }
            | Self::AmbiguousPath { .. }
            | Self::PartitionPath { .. }
            | Self::Parquet(_)
            | Self::TooLarge => Exit::Unsupported,
            Self::Malformed { .. }
            | Self::Fields { .. }
            | Self::Value { .. }
            | Self::Table { .. }
            | Self::Unfit { .. }
            | Self::Schema { .. } => Exit::Malformed,
            Self::Check { .. } | Self::Clear { .. } | Self::Spill => Exit::Internal,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Name(error) => error.expected(),
            Self::Key(error) => error.expected(),
            Self::Manifest(error) => error.expected(),
            Self::Directory(error) => error.expected(),
            Self::Format { .. } => {
                Some("a name that ends in .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .arrows, .feather or .ipc".into())
            }
            Self::UnknownColumn { known, .. } | Self::NoSuchColumn { known, .. } => {
                let shown: Vec<_> = known
                    .iter()
                    .take(SHOWN_COLUMNS)
                    .map(String::as_str)
                    .collect();
                let more = if known.len() > SHOWN_COLUMNS {
                    ", …"
                } else {
                    ""
                };
                Some(format!("one of {}{more}", shown.join(", ")))
            }
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.got(),
            Self::Manifest(error) => error.got(),
            Self::Directory(error) => error.got(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Name(error) => return error.hint(),
                Self::Key(error) => return error.hint(),
                Self::Manifest(error) => return error.hint(),
                Self::Directory(error) => return error.hint(),
                Self::NoInput => "name at least one file",
                Self::Input { .. } => "check the path and its permissions",
                Self::Format { .. } => "rename the file or convert it",
                Self::Fields { .. } => {
                    "correct that line, or name what separates the fields with --delimiter"
                }
                Self::Malformed { line: Some(_), .. } => "correct that line and seal again",
                Self::Malformed { line: None, .. } => "write the file again and seal again",
                Self::Value { .. } => {
                    "correct that line or give the column another type; nothing is rounded or cut off"
                }
                Self::UnknownColumn { .. } => {
                    "columns are named by the header line; is it another --delimiter?"
                }
                Self::TwoTypes { .. } => "name every column once",
                Self::NoCsv => "JSON and Parquet files say these themselves: leave the options out",
                Self::Encrypted { .. } => "seal the plaintext file that it was made from",
                Self::Schema { .. } => "seal files of other columns as a table of their own",
                Self::Table { .. } | Self::Unfit { .. } => {
                    "rows to add need the table's columns with values of their types; nothing is rounded or cut off"
                }
                Self::NoSuchColumn { .. } => "write the name as the input does: case matters",
                Self::AmbiguousPath { .. } => {
                    "rename one of them: case does not count in SQL, and a point in a name reads like a part of a column"
                },
                Self::NothingEncrypted => "name at least one column, or none to encrypt everything",
                Self::LayoutColumn { .. } => "choose plain columns, each of them once",
                Self::PartitionEncrypted { .. } => {
                    "its values are the names of directories, which everybody can read: encrypt it or partition by it"
                }
                Self::PartitionPath { .. } => "partition by a column with few, short values",
                Self::Spill => "look at the disk that the output is on, then seal again",
                Self::Exists { .. } => "choose another directory, or remove the old table's files first",
                Self::Output { .. } => "check path, permissions and free space of the output",
                Self::Parquet(_) => "change the column's type before sealing",
                Self::Check { .. } | Self::Clear { .. } => {
                    "the file was removed; this is a fault of duckblind or of the disk"
                }
                Self::TooLarge => "make several tables of it, or fewer partitions",
            }
            .into(),
        )
    }
}
