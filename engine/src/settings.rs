//! What an engine may use.

use std::path::PathBuf;

/// Whether operators that outgrow memory may write to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spill {
    /// Never: such a query ends with [`crate::EngineError::OutOfMemory`].
    Off,
    /// Yes, every byte under AES-256-GCM with a key that only this process has.
    Encrypted {
        /// An absolute path. The engine creates and empties the directory itself.
        dir: PathBuf,
        /// The most that may lie there, in bytes.
        max_bytes: u64,
    },
}

/// The limits an engine is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads that work on a query, the caller's own included. At least 1.
    pub threads: u32,
    /// Memory for the query, in bytes. The process needs some 64 MiB beyond it.
    pub memory_bytes: u64,
    /// Spill to disk.
    pub spill: Spill,
}

/// Threads beyond this are a mistake in a configuration.
pub(crate) const MAX_THREADS: u32 = 256;
/// Below this not even a small query runs.
pub(crate) const MIN_MEMORY: u64 = 16 << 20;
