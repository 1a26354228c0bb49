//! Sealing a table: CSV, JSON lines or Parquet in, standard encrypted Parquet and a signed
//! manifest out.
//!
//! Memory is bounded whatever the size of the input. Each output file appears under its name only
//! when it is whole and synced; the manifest comes last, so a directory without `_sealed.json`
//! holds no table. After an error nothing of this run is left.

mod check;
mod csv;
mod csv_lines;
mod csv_options;
mod csv_types;
mod error;
mod input;
mod json;
mod parquet_in;
mod progress;
mod run;
#[cfg(test)]
mod tests;
mod workspace;
mod writer;

pub use csv_options::{BadColumnType, BadDelimiter, ColumnType, CsvOptions, Delimiter};
pub use error::SealError;
pub use progress::{Progress, Stage};
pub use run::{SealOptions, SealRequest, Sealed, Unencrypted, seal, write_unencrypted};
pub use workspace::{UNFINISHED, Workspace};
pub use writer::{CREATED_BY, Protection, ROW_GROUP_ROWS, Written, write_file};
