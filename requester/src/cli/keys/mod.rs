//! `duckblind keys`: table keys, column keys, the owner key, and the data keys of single files.

mod export;
mod list;
mod new;
mod rotate;
mod wrap;

use std::path::PathBuf;

use duckblind_lake::TableName;
use duckblind_lake::keys::environment_name;

use super::failure::Failure;
use super::one_table::OneTable;
use super::paths::{IdentityArgs, KeyArgs};
use super::ui::Ui;

/// Make, list, rotate and export keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a table's key, keys of its columns, and the owner key if there is none
    New(NewArgs),
    /// List key ids and public keys; secrets are never shown
    #[command(alias = "show")]
    List {
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// Put a table under new keys
    Rotate(RotateArgs),
    /// Wrap a data key of one file, as the table's manifest would hold it
    Wrap(WrapArgs),
    /// Give out the data keys of one file, for reading it with other tools
    Export(ExportArgs),
}

const NEW_EXAMPLES: &str = "\
Examples:
  duckblind keys new orders
  duckblind keys new people --column name --column address.street";

/// Make a table's key, keys of its columns, and the owner key if there is none
///
/// The ids are NAME-v1 for the table and NAME-v1:COLUMN for a column. With --column, a table key
/// that is there already stays.
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(super) struct NewArgs {
    /// The table's name in SQL
    #[arg(value_name = "NAME")]
    name: TableName,
    /// Also a key for this column; for a nested one its path, parts joined by `.`
    #[arg(long, value_name = "COLUMN")]
    column: Vec<String>,
    /// How long the keys are
    #[arg(long, value_name = "128|192|256", default_value = "256", value_parser = bits)]
    bits: usize,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Put a table under new keys
///
/// Makes the next version of the table's key and of all its column keys, and wraps every data key
/// anew: quick, and no data is written. Whoever copied data keys before can still open the files;
/// --data also writes every file anew under fresh data keys. Snapshots before stay under the old
/// keys: keep those until `duckblind table expire` has removed the snapshots.
#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    table: OneTable,
    /// Instead write every file anew under fresh data keys, wrapped by the keys there are
    #[arg(long)]
    data: bool,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  duckblind keys export part-00000-1b2c3d4e.parquet --table orders=sealed/orders --out part.keys.json
  duckblind keys export part-00000-1b2c3d4e.parquet --table orders=sealed/orders | reader.py

`duckblind table show --table orders=sealed/orders` lists the files.";

/// Give out the data keys of one file, for reading it with other tools
///
/// Prints SECRETS: whoever has them reads that file. The table's keys are not given out. JSON with
/// `footer_key`, `columns` and `aad_prefix` in hex; `duckblind help pyarrow` shows how to use them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(super) struct ExportArgs {
    /// The file, as the table's manifest names it
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    table: OneTable,
    /// An older snapshot
    #[arg(long, value_name = "N")]
    snapshot: Option<u64>,
    /// Write a new file that only you can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print to a terminal all the same
    #[arg(long, conflicts_with = "out")]
    reveal: bool,
}

/// Wrap a data key of one file, as the table's manifest would hold it
///
/// For tools that make files of the table themselves.
#[derive(Debug, clap::Args)]
pub(super) struct WrapArgs {
    /// The file, as the table's manifest names it
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    table: OneTable,
    /// The data key is for this leaf column [default: the footer]
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// A file with the data key in hex, which only you can read
    #[arg(long, value_name = "FILE")]
    data_key: PathBuf,
}

pub(super) fn keys(ui: &Ui, command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::New(args) => new::new(ui, &args),
        KeysCommand::List { keys, identity } => list::list(ui, &keys, &identity),
        KeysCommand::Rotate(args) => rotate::rotate(ui, &args),
        KeysCommand::Wrap(args) => wrap::wrap(ui, &args),
        KeysCommand::Export(args) => export::export(ui, &args),
    }
}

/// The variables of these keys that are set: they are asked before key files.
fn set_variables(ids: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    let names = ids.into_iter().map(|id| environment_name(&id.to_string()));
    names
        .filter(|name| std::env::var_os(name).is_some())
        .collect()
}

fn bits(text: &str) -> Result<usize, String> {
    match text {
        "128" => Ok(128),
        "192" => Ok(192),
        "256" => Ok(256),
        _ => Err("expected 128, 192 or 256".into()),
    }
}
