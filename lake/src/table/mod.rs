//! A sealed table's directory: `_sealed.json` names the current snapshot's files, `_snapshots/N.json`
//! those of older ones, `_sealed.lock` is held by whoever writes.
//!
//! A change writes new files beside the old ones and ends by renaming a new manifest onto
//! `_sealed.json`. Killed at any step, the table is the old one or the new one, whole; what a killed
//! writer leaves is removed by the next one. No data file is ever changed.

mod change;
mod error;
mod files;
mod lock;
mod open;
mod rotate;
mod snapshots;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use error::TableError;
pub use open::{At, Table, snapshot_path};
pub use rotate::{next_key_ids, rotate_keys};
pub use snapshots::{Expired, Snapshot, expire, snapshots};

/// The name of the lock in a table's directory.
pub const LOCK_NAME: &str = "_sealed.lock";
/// The directory of older snapshots' manifests.
pub const SNAPSHOTS_DIR: &str = "_snapshots";
