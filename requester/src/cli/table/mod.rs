//! `duckblind table`: what happens to a sealed table after it was sealed.

mod change;
mod import;
mod look;

use std::path::PathBuf;

use super::failure::Failure;
use super::one_table::OneTable;
use super::paths::public_key;
use super::run_args::bytes;
use super::seal::CsvArgs;
use super::ui::Ui;

use duckblind_protocol::ids::PublicKey;

/// Change and check sealed tables.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TableCommand {
    /// Add rows, and perhaps columns
    Append(Box<AppendArgs>),
    /// Join small files
    Compact {
        #[command(flatten)]
        table: OneTable,
        /// Files are joined up to about this size
        #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "256MiB")]
        target: u64,
    },
    /// List the snapshots that are kept
    Snapshots(LookArgs),
    /// Remove old snapshots, and the files that only they have
    Expire {
        #[command(flatten)]
        table: OneTable,
        /// Keep the newest N
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        keep: u64,
    },
    /// Authenticate every byte
    Verify {
        #[command(flatten)]
        look: LookArgs,
        /// An older snapshot
        #[arg(long, value_name = "N")]
        snapshot: Option<u64>,
    },
    /// Make a sealed table of files that were encrypted elsewhere
    Import(Box<import::ImportArgs>),
    /// Show columns, keys, layout and files
    Show {
        #[command(flatten)]
        look: LookArgs,
        /// An older snapshot
        #[arg(long, value_name = "N")]
        snapshot: Option<u64>,
    },
}

/// Add rows to a sealed table
///
/// The rows must have all columns of the table; columns that are new are NULL in all rows before.
/// They are encrypted under the table's key unless you say otherwise. The old files are not touched.
#[derive(Debug, clap::Args)]
pub(super) struct AppendArgs {
    /// .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .arrows, .feather or .ipc files
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    table: OneTable,
    #[command(flatten)]
    csv: CsvArgs,
    /// Give a new column a key of its own
    #[arg(long, value_name = "COLUMN")]
    encrypt_column: Vec<String>,
    /// Leave a new column READABLE FOR EVERYBODY
    #[arg(long, value_name = "COLUMN")]
    clear_column: Vec<String>,
}

/// A table to look at.
#[derive(Debug, clap::Args)]
pub(super) struct LookArgs {
    #[command(flatten)]
    table: OneTable,
    /// Who sealed the table [default: your own owner key]
    #[arg(long, value_name = "ed25519:HEX", value_parser = public_key)]
    owner: Option<PublicKey>,
}

pub(super) fn table(ui: &Ui, command: TableCommand) -> Result<(), Failure> {
    match command {
        TableCommand::Append(args) => change::append(ui, *args),
        TableCommand::Compact { table, target } => change::compact(ui, &table, target),
        TableCommand::Import(args) => import::import(ui, *args),
        TableCommand::Expire { table, keep } => change::expire(ui, &table, keep),
        TableCommand::Snapshots(look) => look::snapshots(ui, &look),
        TableCommand::Verify { look, snapshot } => look::verify(ui, &look, snapshot),
        TableCommand::Show { look, snapshot } => look::show(ui, &look, snapshot),
    }
}
