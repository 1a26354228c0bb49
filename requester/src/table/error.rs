//! Why a query over sealed tables cannot be put together.

use std::path::PathBuf;

use duckblind_lake::keys::KeyError;
use duckblind_lake::manifest::MAX_JOB_MANIFEST;
use duckblind_lake::names::BadTableName;
use duckblind_lake::table::TableError;
use duckblind_protocol::body::MAX_SECTION;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::Digest;
use duckblind_protocol::order::{MAX_FILES, MAX_INPUTS};

use crate::files::FileError;

/// A job that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The manifest cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No name for SQL.
    #[error(transparent)]
    Name(#[from] BadTableName),
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A key is missing or wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Two tables of one name.
    #[error("the table name {0} is given twice")]
    Twice(String),
    /// A directory that the enclave's storage cannot name.
    #[error("{0:?} is not a directory within the enclave's storage")]
    Remote(String),
    /// No SQL at all.
    #[error("the query is empty")]
    NoSql,
    /// More tables or files than one job may have.
    #[error("too many {0} for one job")]
    TooMany(&'static str),
    /// SQL, manifests and keys of more bytes than one job may have.
    #[error("the job is too large: its SQL, manifests and keys together")]
    TooLarge {
        /// Their bytes.
        got: usize,
    },
    /// A manifest of more bytes than a job takes.
    #[error("the manifest of table `{table}` is too large for a job")]
    Manifest {
        /// The table's name in SQL.
        table: String,
        /// Bytes of the manifest.
        got: usize,
    },
    /// Older than what was seen before.
    #[error("table `{table}` has gone back to an older snapshot")]
    Rollback {
        /// Its name.
        table: String,
        /// The newest snapshot seen.
        seen: u64,
        /// The snapshot there now.
        got: u64,
    },
    /// Two manifests of one number.
    #[error("table `{table}` has two manifests of snapshot {snapshot}")]
    Fork {
        /// Its name.
        table: String,
        /// The number.
        snapshot: u64,
        /// Digest of the manifest seen before.
        seen: Digest,
        /// Digest of the manifest there now.
        got: Digest,
    },
    /// A new table of a name that was taken.
    #[error("there was a table `{table}` of this owner before")]
    Known {
        /// Its name.
        table: String,
        /// The newest snapshot seen of it.
        seen: u64,
    },
    /// A directory with a table of another name.
    #[error("{} holds table `{holds}`, not `{name}`", dir.display())]
    OtherTable {
        /// The directory.
        dir: PathBuf,
        /// The table's name in its manifest.
        holds: String,
        /// The name that was asked for.
        name: String,
    },
    /// A data file that is not there, or no regular file.
    #[error("table `{table}`: its file {} cannot be opened: {kind}", path.display())]
    DataFile {
        /// The table.
        table: String,
        /// Where it should be.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// A column that no table has.
    #[error("no table given has a column `{0}`")]
    NoColumn(String),
}

impl InputError {
    fn inner(&self) -> Option<&dyn Coded> {
        match self {
            Self::File(e) => Some(e),
            Self::Name(e) => Some(e),
            Self::Table(e) => Some(e),
            Self::Key(e) => Some(e),
            _ => None,
        }
    }
}

impl Coded for InputError {
    fn code(&self) -> &'static str {
        match self {
            Self::Twice(_) => "DB-REQ-065",
            Self::Remote(_) => "DB-REQ-066",
            Self::NoSql => "DB-REQ-067",
            Self::TooMany(_) => "DB-REQ-068",
            Self::TooLarge { .. } => "DB-REQ-130",
            Self::Rollback { .. } => "DB-REQ-131",
            Self::Fork { .. } => "DB-REQ-132",
            Self::NoColumn(_) => "DB-REQ-133",
            Self::Manifest { .. } => "DB-REQ-134",
            Self::OtherTable { .. } => "DB-REQ-135",
            Self::Known { .. } => "DB-REQ-137",
            Self::DataFile { .. } => "DB-REQ-138",
            _ => self.inner().map_or("DB-REQ-069", Coded::code),
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Rollback { .. } | Self::Fork { .. } | Self::Known { .. } => Exit::Rejected,
            _ => self.inner().map_or(Exit::Usage, Coded::exit),
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::TooMany("tables") => Some(format!("at most {MAX_INPUTS}")),
            Self::TooMany(_) => Some(format!("at most {MAX_FILES}")),
            Self::TooLarge { .. } => Some(format!("at most {MAX_SECTION} bytes")),
            Self::Manifest { .. } => Some(format!("at most {MAX_JOB_MANIFEST} bytes")),
            Self::Rollback { seen, .. } => Some(format!("snapshot {seen} or newer")),
            Self::Known { seen, .. } => Some(format!(
                "a name that is new, or a table that goes on from snapshot {seen}"
            )),
            Self::Fork { seen, .. } => Some(format!("manifest {seen}, as seen before")),
            _ => self.inner().and_then(Coded::expected),
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::TooLarge { got } | Self::Manifest { got, .. } => Some(format!("{got} bytes")),
            Self::Rollback { got, .. } => Some(format!("snapshot {got}")),
            Self::Fork { got, .. } => Some(format!("manifest {got}")),
            _ => self.inner().and_then(Coded::got),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Table(TableError::Missing { .. }) => Some(
                "--table NAME=DIR names the directory that `duckblind seal` wrote; it holds _sealed.json"
                    .into(),
            ),
            Self::TooLarge { .. } | Self::Manifest { .. } => Some(
                "`duckblind table compact` makes fewer files of a table; or name fewer tables and columns".into(),
            ),
            Self::Rollback { seen, .. } => Some(format!(
                "whoever stores the table may have put an old copy there: get snapshot {seen} back; \
                 to go on with the old one say --allow-rollback"
            )),
            Self::Known { .. } => Some(
                "to add rows say `duckblind table append`; for another table choose another name and directory; to forget the old one say --allow-rollback".into(),
            ),
            Self::DataFile { .. } => Some(
                "restore the file; `duckblind table verify` lists what is missing".into(),
            ),
            Self::OtherTable { dir, holds, .. } => Some(format!(
                "write --table {holds}={} and call the table {holds} in the SQL",
                dir.display()
            )),
            Self::Fork { .. } => Some(
                "two tables of one name and owner, or somebody restored an old copy and wrote to it: \
                 find out which is right; --allow-rollback takes the one that is there"
                    .into(),
            ),
            Self::NoColumn(_) => Some("name a column as its table's manifest does: `duckblind table show --table NAME=DIR`".into()),
            Self::Remote(_) => Some(
                "write --table NAME=DIR@REMOTE, with REMOTE relative and without `..`".into(),
            ),
            _ => self.inner().and_then(Coded::hint),
        }
    }
}
