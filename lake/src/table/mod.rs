//! A sealed table's directory: `_sealed.json` names the current snapshot's files, `_snapshots/N.json`
//! those of older ones, `_sealed.lock` is held by whoever writes.
//!
//! Rows are added ([`append`]), files joined ([`compact`]) or written under fresh data keys
//! ([`rotate_data`]), data keys wrapped anew ([`rotate_keys`]), old snapshots ended ([`expire`]), files
//! of other writers taken over ([`import`](import())), everything checked ([`verify`](verify())).
//!
//! A change writes new files beside the old ones and ends by renaming a new manifest onto
//! `_sealed.json`. Killed at any step, the table is the old one or the new one, whole; what a killed
//! writer leaves is removed by the next one. No data file is ever changed.

mod append;
mod change;
mod error;
mod export;
mod files;
mod import;
mod lock;
mod open;
mod rewrite;
mod rotate;
mod rows;
mod snapshots;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod virtual_file;

pub use append::{AppendRequest, Appended, NewColumns, append};
pub use change::{Change, Start};
pub use error::TableError;
pub use export::{export_keys, wrap_key};
pub use import::{
    Icefall, IcefallMarker, ImportError, ImportRequest, Imported, icefall, import, parquet_files,
};
pub use open::{At, Table, snapshot_path};
pub use rewrite::{Rewritten, compact, rotate_data};
pub use rotate::{Rotated, Rotation, rotate_keys};
pub use snapshots::{Expired, Snapshot, expire, snapshots};
pub use verify::{FileReport, verify};

/// The name of the lock in a table's directory.
pub const LOCK_NAME: &str = "_sealed.lock";
/// The directory of older snapshots' manifests.
pub const SNAPSHOTS_DIR: &str = "_snapshots";
