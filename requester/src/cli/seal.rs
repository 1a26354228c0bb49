//! `duckblind seal`: plain files in, a sealed table out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use duckblind_lake::KeyId;
use duckblind_lake::manifest::{AadStorage, Layout, Manifest, SchemaField, VerifiedManifest};
use duckblind_lake::seal::{
    CsvOptions, Delimiter, Encryption, Rest, SealOptions, SealRequest, seal as seal_table,
};
use duckblind_protocol::ids::Digest;
use serde_json::json;

use super::column_types::ColumnTypes;
use super::failure::Failure;
use super::meter::Meter;
use super::one_table::NewTable;
use super::paths::KeyArgs;
use super::ui::{self, Ui};
use crate::output::visible;

const EXAMPLES: &str = "\
Examples:
  duckblind keys new orders
  duckblind seal orders.csv --table orders --out sealed/orders
  duckblind seal prices.csv --table prices --out sealed/prices --delimiter ';' --types 'price=DECIMAL(12,2)'
  duckblind seal 2025.parquet 2026.parquet --table sales --out /data/sealed/sales
  duckblind seal people.csv --table people --out sealed/people --encrypt-column name --encrypt-rest
  duckblind seal events.parquet --table events --out sealed/events --partition-by day --sort-by user

A column with a key of its own: `duckblind keys new people --column name` makes the key.";

/// Seal CSV, JSON lines or Parquet files into an encrypted table
///
/// Writes standard encrypted Parquet (one random key per file, wrapped under the table key,
/// the newest NAME-vN) and a manifest signed with your owner key. By default everything is encrypted, footers
/// too, and only who has the manifest can read. The inputs are not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SealArgs {
    /// .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .arrows, .feather or .ipc files, all with the same columns
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// The table's name in SQL
    #[arg(long, short, value_name = "NAME")]
    table: String,
    /// Directory for the sealed table; must not hold one yet
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    csv: CsvArgs,
    /// Encrypt this column under a key of its own; of a nested column, all its leaves. May be given
    /// often. Alone it leaves all other columns READABLE FOR EVERYBODY
    #[arg(long, value_name = "COLUMN")]
    encrypt_column: Vec<String>,
    /// Encrypt the other columns too, under the table's key
    #[arg(long, requires = "encrypt_column")]
    encrypt_rest: bool,
    /// Leave the files' footers readable, signed: other tools see schema, row counts and where data
    /// lies without a key
    #[arg(long)]
    plaintext_footer: bool,
    /// How other tools get the AAD prefix, which binds a file to its place: from you only, from the
    /// file, or there is none
    #[arg(long, value_enum, value_name = "HOW", default_value = "supplied")]
    aad: Aad,
    /// Put rows of different values into directories named after them: the values are READABLE
    /// FOR EVERYBODY. May be given often, outermost first
    #[arg(long, value_name = "COLUMN")]
    partition_by: Vec<String>,
    /// Sort each file by this column, for faster filters. May be given often
    #[arg(long, value_name = "COLUMN")]
    sort_by: Vec<String>,
    /// Seal although there was a table of this name before, and remember the new one instead
    #[arg(long)]
    allow_rollback: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

/// What CSV files do not say themselves.
#[derive(Debug, clap::Args)]
pub(super) struct CsvArgs {
    /// Types of CSV columns that are not to be inferred: BOOLEAN, INTEGER, BIGINT, DOUBLE,
    /// DECIMAL(p,s), DATE, TIMESTAMP, VARCHAR. Inferred numbers with a point are DOUBLE
    #[arg(long, value_name = "COL=TYPE[,COL=TYPE…]")]
    types: Vec<ColumnTypes>,
    /// What separates the fields of CSV files; \t is a tab [default: a comma, a tab in .tsv]
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<Delimiter>,
}

impl CsvArgs {
    pub(super) fn options(self) -> CsvOptions {
        CsvOptions {
            delimiter: self.delimiter,
            types: self.types.into_iter().flat_map(|list| list.0).collect(),
        }
    }
}

/// What a file says of its AAD prefix.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Aad {
    /// Nothing: only who has the manifest can read, and a swapped file is noticed
    Supplied,
    /// The prefix itself: other tools read with the key alone, and do not notice a swapped file
    Stored,
    /// That there is none: files of one table can be swapped unnoticed by other tools
    None,
}

pub(super) fn seal(ui: &Ui, args: SealArgs) -> Result<(), Failure> {
    let (encryption, layout) = (args.encryption(), args.layout());
    let keys = args.keys.provider()?;
    let owner = args.keys.owner()?;
    let new = NewTable::begin(ui, &owner.public(), &args.table, args.allow_rollback)?;
    let separated = args.inputs.iter().any(|path| is_separated(path));
    let begun = Instant::now();
    let mut meter = Meter::new(ui);
    let request = SealRequest {
        inputs: args.inputs,
        table: args.table.clone(),
        out_dir: args.out.clone(),
        kms: &keys,
        owner: &owner,
        options: SealOptions {
            csv: args.csv.options(),
            encryption,
            layout,
        },
        progress: &mut |progress| meter.report(ui, progress),
    };
    let sealed = seal_table(request);
    meter.end();
    let sealed = sealed?;
    let manifest = Digest::of(&sealed.manifest_bytes);
    let taken = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None)?;
    new.made(&taken)?;
    let id = KeyId::of_table(&taken.table, taken.key_version()).to_string();
    ui.note(&columns(&taken.schema));
    let clear = clear_columns(&taken);
    if !clear.is_empty() {
        ui.warning(&format!(
            "NOT ENCRYPTED, readable for everybody: {}. To encrypt them, remove {} and seal again with --encrypt-rest --allow-rollback",
            clear.join(", "),
            args.out.display(),
        ));
    }
    let told = told_by_order(&taken);
    if !told.is_empty() {
        ui.warning(&format!(
            "rows lie in the order of {}: who reads only other columns learns that order",
            visible::line(&told.join(", "))
        ));
    }
    if !taken.layout.partition_by.is_empty() {
        ui.warning(&format!(
            "every value of {} is readable for everybody, in the names of directories",
            taken.layout.partition_by.join(", ")
        ));
    }
    if separated && let Some(name) = unseparated(&taken.schema) {
        ui.warning(&format!(
            "the only column is named {name:?}: is it several? --delimiter says what separates them"
        ));
    }
    let value = json!({
        "schema": "duckblind/seal/v1",
        "table": args.table,
        "out": args.out,
        "key_id": id,
        "owner": owner.public(),
        "manifest": manifest,
        "columns": taken.schema,
        "column_keys": taken.columns,
        "clear_columns": clear,
        "files": taken.files.len(),
        "rows": sealed.rows,
        "bytes": sealed.bytes,
        "seconds": begun.elapsed().as_secs_f64(),
    });
    ui.show(&value, || {
        format!(
            "sealed {} ({}) in {} into {}\nkey {id}, manifest {manifest}",
            ui::rows(sealed.rows),
            ui::size(sealed.bytes),
            ui::duration(begun.elapsed()),
            args.out.display(),
        )
    });
    Ok(())
}

impl SealArgs {
    fn encryption(&self) -> Encryption {
        if self.encrypt_column.is_empty() {
            return Encryption::Uniform;
        }
        Encryption::Columns {
            columns: self.encrypt_column.clone(),
            rest: if self.encrypt_rest {
                Rest::TableKey
            } else {
                Rest::Clear
            },
        }
    }

    fn layout(&self) -> Layout {
        Layout {
            plaintext_footer: self.plaintext_footer,
            aad: match self.aad {
                Aad::Supplied => AadStorage::Supplied,
                Aad::Stored => AadStorage::Stored,
                Aad::None => AadStorage::None,
            },
            partition_by: self.partition_by.clone(),
            sort_by: self.sort_by.clone(),
        }
    }
}

/// Leaf columns that anybody can read.
pub(super) fn clear_columns(manifest: &Manifest) -> Vec<&str> {
    let clear = manifest.columns.iter().filter(|c| c.key_id.is_none());
    clear.map(|column| column.path.as_str()).collect()
}

/// Columns that rows are sorted by and whose keys not everybody has who reads other columns.
fn told_by_order(manifest: &Manifest) -> Vec<&str> {
    let columns = &manifest.columns;
    let sorted = columns
        .iter()
        .filter(|column| manifest.layout.sort_by.contains(&column.path));
    sorted
        .filter(|one| one.key_id.is_some() && columns.iter().any(|c| c.key_id != one.key_id))
        .map(|column| column.path.as_str())
        .collect()
}

/// The columns for people: `columns: id Int64, name Utf8`.
fn columns(schema: &[SchemaField]) -> String {
    let each: Vec<_> = schema
        .iter()
        .map(|field| format!("{} {}", visible::line(&field.name), field.data_type))
        .collect();
    format!("columns: {}", each.join(", "))
}

fn is_separated(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|ending| {
            ["csv", "tsv", "tab"]
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        })
}

/// The one column's name, if it looks like several names with another separator between.
fn unseparated(schema: &[SchemaField]) -> Option<&str> {
    match schema {
        [only] if only.name.contains([';', '\t']) => Some(&only.name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> SchemaField {
        SchemaField {
            name: name.into(),
            data_type: "Int64".into(),
            nullable: true,
        }
    }

    #[test]
    fn columns_are_shown_and_doubted() {
        let two = [field("id"), field("a;\u{1b}b")];
        assert_eq!(columns(&two), "columns: id Int64, a;\\u{1b}b Int64");
        assert_eq!(unseparated(&two), None);
        assert_eq!(unseparated(&[field("id")]), None);
        assert_eq!(unseparated(&[field("id;name")]), Some("id;name"));
        assert_eq!(unseparated(&[field("id\tname")]), Some("id\tname"));
        assert!(is_separated(Path::new("a.CSV")) && !is_separated(Path::new("a.parquet")));
    }
}
