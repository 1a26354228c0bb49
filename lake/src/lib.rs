//! Data at rest: sealed tables, the keys that open them, and the virtual plaintext file that the
//! engine reads instead of them.
//!
//! * [`keys`]: key files, table keys, data keys and how one wraps the other.
//! * [`manifest`]: `_sealed.json`, signed by the table's owner.
//! * [`seal`]: CSV, JSON lines, Parquet and Arrow in, standard encrypted Parquet out.
//! * [`sealed_file`]: one encrypted Parquet file, shown as a plaintext one that exists nowhere.
//! * [`table`]: a table's directory: snapshots, one writer at a time, and everything that changes
//!   a table.

pub mod codes;
pub mod keys;
pub mod manifest;
pub mod names;
pub mod seal;
pub mod sealed_file;
pub mod table;

pub use names::{KeyId, TableName, aad_prefix, key_id};
