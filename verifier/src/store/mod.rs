//! What the verifier remembers, in one SQLite file: write-ahead log, every commit synced to disk
//! before it is answered. A nonce used once stays used, whatever happens to the process.

pub mod attestations;
mod floors;
pub mod instances;
pub mod nodes;
pub mod nonces;
mod schema;
pub mod sightings;
#[cfg(test)]
mod testing;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duckblind_protocol::coded::{Coded, Exit};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// How long one writer waits for another process at the same file.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// The state file failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the file system under it.
    #[error("the state file failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made or opened.
    #[error("the state file cannot be opened: {0}")]
    Open(#[from] std::io::Error),
    /// The file was written by a newer version.
    #[error("the state file has version {found}")]
    Newer {
        /// The version found.
        found: i64,
    },
    /// The thread that worked on the file ended early.
    #[error("work on the state file was cut off")]
    CutOff,
    /// A row that this version would not have written.
    #[error("the state file holds a {0} that does not parse")]
    Row(&'static str),
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Sqlite(_) | Self::CutOff => "DB-VER-013",
            Self::Open(_) => "DB-VER-014",
            Self::Newer { .. } | Self::Row(_) => "DB-VER-015",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Newer { .. } => Exit::Unsupported,
            Self::Open(_) => Exit::Usage,
            _ => Exit::Internal,
        }
    }

    fn expected(&self) -> Option<String> {
        matches!(self, Self::Newer { .. }).then(|| format!("version {}", schema::VERSION))
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Newer { .. } => "run the newer duckblind-verifier".into(),
            Self::Row(_) => "the file was changed by something else; move it away".into(),
            _ => "the state file needs a writable directory on a local disk that syncs".into(),
        })
    }
}

/// The open state file. Clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens or makes the file at `path` (mode 0600).
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Made by hand first: SQLite would make it readable to others.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_WAIT)?;
        schema::prepare(&mut connection)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs `work` as one transaction, off the threads that serve.
    async fn transaction<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            // A panic while the lock was held has rolled its transaction back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
        .map_err(|_| StoreError::CutOff)?
    }

    /// Runs `work`, which only reads.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection)
        })
        .await
        .map_err(|_| StoreError::CutOff)?
    }

    /// Whether the file answers.
    pub async fn healthy(&self) -> bool {
        self.read(|db| Ok(db.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?))
            .await
            .is_ok_and(|one| one == 1)
    }
}
