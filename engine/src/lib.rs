//! DuckDB, opened safely: nothing reaches it but one SELECT, it reaches nothing but sealed files.
//!
//! * [`Engine`] is one in-memory database, locked down when it opens ([`Settings`]).
//! * Tables are views over `sealed://` paths, which only this process can resolve: each path is a
//!   [`VirtualFile`], normally a [`duckblind_lake`] sealed file that is decrypted as it is read.
//! * [`Engine::query`] parses, judges, prepares and starts one SELECT; [`Rows`] streams its answer
//!   as Arrow.
//!
//! This is the one crate with C++ and FFI (`shim/`, compiled against the headers of the DuckDB that
//! is linked). Every `unsafe` block says why it is sound. No C++ exception and no Rust panic crosses
//! the border.

mod connection;
mod crypto;
mod engine;
mod error;
mod ffi;
mod file_system;
mod gate;
mod lock_down;
mod mentioned;
mod rows;
mod settings;

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod testing;
#[cfg(test)]
mod tests;

pub use connection::InterruptHandle;
pub use engine::Engine;
pub use error::{Detail, EngineError};
pub use file_system::VirtualFile;
pub use mentioned::MentionedColumns;
pub use rows::Rows;
pub use settings::{Settings, Spill};

/// The engine as it is linked into this process, such as `duckdb 2.0.0`: read back from the library,
/// not from a build file.
pub fn engine_version() -> String {
    let version = connection::library_version();
    format!("duckdb {}", version.strip_prefix('v').unwrap_or(&version))
}
