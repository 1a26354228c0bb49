//! `duckblind seal`: plain files in, a sealed table out.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duckblind_lake::keys::key_id;
use duckblind_lake::manifest::{SchemaField, VerifiedManifest};
use duckblind_lake::seal::{
    CsvOptions, Delimiter, Progress, SealOptions, SealRequest, Stage, seal as seal_table,
};
use duckblind_protocol::ids::Digest;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::column_types::ColumnTypes;
use super::failure::Failure;
use super::paths::KeyArgs;
use super::ui::{self, Ui};
use crate::output::visible;

const EXAMPLES: &str = "\
Examples:
  duckblind keys new orders
  duckblind seal orders.csv --table orders --out sealed/orders
  duckblind seal prices.csv --table prices --out sealed/prices --delimiter ';' --types 'price=DECIMAL(12,2)'
  duckblind seal 2025.parquet 2026.parquet --table sales --out /data/sealed/sales";

/// Seal CSV, JSON lines or Parquet files into an encrypted table
///
/// Writes standard encrypted Parquet (one random key per file, wrapped under the table key
/// NAME-v1) and a manifest signed with your owner key. The inputs are not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SealArgs {
    /// .csv, .tsv, .json, .jsonl, .ndjson or .parquet files, all with the same columns
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// The table's name in SQL
    #[arg(long, short, value_name = "NAME")]
    table: String,
    /// Directory for the sealed table; must not hold one yet
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    /// Types of CSV columns that are not to be inferred: BOOLEAN, INTEGER, BIGINT, DOUBLE,
    /// DECIMAL(p,s), DATE, TIMESTAMP, VARCHAR. Inferred numbers with a point are DOUBLE
    #[arg(long, value_name = "COL=TYPE[,COL=TYPE…]")]
    types: Vec<ColumnTypes>,
    /// What separates the fields of CSV files; \t is a tab [default: a comma, a tab in .tsv]
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<Delimiter>,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) fn seal(ui: &Ui, args: SealArgs) -> Result<(), Failure> {
    let id = key_id(&args.table);
    let keys = args.keys.provider()?;
    let owner = args.keys.owner()?;
    let separated = args.inputs.iter().any(|path| is_separated(path));
    let csv = CsvOptions {
        delimiter: args.delimiter,
        types: args.types.into_iter().flat_map(|list| list.0).collect(),
    };
    let begun = Instant::now();
    let mut meter = Meter::new(ui);
    let request = SealRequest {
        inputs: args.inputs,
        table: args.table.clone(),
        out_dir: args.out.clone(),
        kms: &keys,
        owner: &owner,
        options: SealOptions { csv },
        progress: &mut |progress| meter.report(ui, progress),
    };
    let sealed = seal_table(request);
    meter.bar.finish_and_clear();
    let sealed = sealed?;
    let manifest = Digest::of(&sealed.manifest_bytes);
    let taken = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None)?;
    ui.note(&columns(&taken.schema));
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

/// A bar on a terminal; elsewhere a line now and then.
struct Meter {
    bar: ProgressBar,
    begun: Instant,
    last_line: Option<Instant>,
}

const FIRST_AFTER: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Meter {
    fn new(ui: &Ui) -> Self {
        let bar = ui.spinner("sealing");
        Self {
            bar,
            begun: Instant::now(),
            last_line: None,
        }
    }

    fn report(&mut self, ui: &Ui, progress: Progress) {
        let what = match progress.stage {
            Stage::Inspecting => "reading",
            Stage::Sealing => "sealing",
        };
        if self.bar.is_hidden() {
            let due = match self.last_line {
                Some(last) => last.elapsed() >= LINE_EVERY,
                None => self.begun.elapsed() >= LINE_EVERY,
            };
            if due {
                self.last_line = Some(Instant::now());
                ui.note(&format!(
                    "{what}: {} of {}, {}",
                    ui::size(progress.bytes),
                    ui::size(progress.total_bytes),
                    ui::rows(progress.rows)
                ));
            }
            return;
        }
        if self.bar.length().is_none() && self.begun.elapsed() >= FIRST_AFTER {
            let template =
                "{prefix} [{bar:30}] {binary_bytes} of {binary_total_bytes}, {msg}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_length(progress.total_bytes);
        }
        self.bar.set_prefix(what);
        self.bar.set_position(progress.bytes);
        self.bar.set_message(ui::rows(progress.rows));
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
