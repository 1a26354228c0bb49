//! Sealing a table: CSV, JSON lines, Parquet or Arrow in, standard encrypted Parquet and a signed
//! manifest out.
//!
//! Memory is bounded whatever the size of the input. Each output file appears under its name only
//! when it is whole and synced; the manifest comes last, so a directory without `_sealed.json`
//! holds no table. After an error nothing of this run is left.
//!
//! [`seal`] makes a new table. Whoever adds to one or writes it anew uses its parts: [`Source`]
//! for rows, [`Plan`] for how they are written, [`write_parts`] for the files.

mod arrow_in;
mod arrow_messages;
mod check;
mod csv;
mod csv_lines;
mod csv_options;
mod csv_types;
mod error;
mod file_keys;
mod fit;
mod input;
mod json;
mod merge;
mod options;
mod parquet_in;
mod partition;
mod parts;
mod plan;
mod progress;
mod run;
mod sort;
mod source;
mod spill;
#[cfg(test)]
mod tests;
mod workspace;
mod writer;

pub use csv_options::{BadColumnType, BadDelimiter, ColumnType, CsvOptions, Delimiter};
pub use error::SealError;
pub use fit::fit;
pub use options::{Encryption, Rest, SealOptions};
pub use parts::{Rows, write_parts};
pub use plan::Plan;
pub use progress::{Progress, Stage};
pub use run::{SealRequest, Sealed, Unencrypted, seal, write_unencrypted};
pub use source::Source;
pub use workspace::{UNFINISHED, Workspace};
pub use writer::{CREATED_BY, Protection, ROW_GROUP_ROWS, Written, write_file};
