//! Looking at a table without changing it.

use duckblind_lake::manifest::{AadStorage, Manifest, ManifestFile};
use duckblind_lake::table::{self, At, FileReport, Table};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::key_file::format_public;
use serde_json::{Value, json};

use super::LookArgs;
use crate::cli::failure::Failure;
use crate::cli::one_table::described;
use crate::cli::ui::{self, Ui};
use crate::output::visible;

impl LookArgs {
    fn open(&self, ui: &Ui, snapshot: Option<u64>) -> Result<Table, Failure> {
        let owner = match self.owner {
            Some(owner) => owner,
            None => self.table.keys.owner()?.public(),
        };
        self.table
            .open(ui, &owner, snapshot.map_or(At::Current, At::Snapshot))
    }
}

pub(super) fn snapshots(ui: &Ui, args: &LookArgs) -> Result<(), Failure> {
    let table = args.open(ui, None)?;
    let list = table::snapshots(table.dir(), &table.manifest().owner)?;
    let value = json!({
        "schema": "duckblind/table-snapshots/v1",
        "table": table.manifest().table,
        "snapshots": list
            .iter()
            .map(|one| json!({
                "snapshot": one.number,
                "manifest": one.digest,
                "files": one.files,
                "bytes": one.bytes,
                "key_version": one.key_version,
            }))
            .collect::<Vec<_>>(),
    });
    ui.show(&value, || {
        let lines = list.iter().map(|one| {
            format!(
                "{:>6}  {} files, {}, keys v{}, manifest {}",
                one.number,
                ui::count(one.files as u64),
                ui::size(one.bytes),
                one.key_version,
                one.digest
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

pub(super) fn show(ui: &Ui, args: &LookArgs, snapshot: Option<u64>) -> Result<(), Failure> {
    let table = args.open(ui, snapshot)?;
    let manifest = table.manifest();
    let bytes: u64 = total(manifest);
    let value = described(
        "duckblind/table/v1",
        manifest,
        json!({
            "owner": manifest.owner,
            "columns": manifest.schema,
            "column_keys": manifest.columns,
            "layout": manifest.layout,
            "bytes": bytes,
            "files": manifest.files.iter().map(file_value).collect::<Vec<_>>(),
        }),
    );
    ui.show(&value, || text(manifest, &table, bytes));
    Ok(())
}

fn total(manifest: &Manifest) -> u64 {
    let files = manifest.files.iter();
    files.fold(0, |sum, file| file.size.saturating_add(sum))
}

fn file_value(file: &ManifestFile) -> Value {
    json!({
        "path": file.path,
        "bytes": file.size,
        "footer_digest": file.footer_digest,
        "file_id": file.file_id,
        "algorithm": file.algorithm,
    })
}

fn text(manifest: &Manifest, table: &Table, bytes: u64) -> String {
    let mut lines = vec![
        format!("table     {} in {}", manifest.table, table.dir().display()),
        format!(
            "snapshot  {}, manifest {}",
            manifest.snapshot,
            table.manifest().digest()
        ),
        format!("owner     {}", format_public(&manifest.owner).trim()),
        format!(
            "footers   {}",
            if manifest.layout.plaintext_footer {
                "readable, signed"
            } else {
                "encrypted"
            }
        ),
        format!(
            "AAD       {}",
            match manifest.layout.aad {
                AadStorage::Supplied => "prefix from the manifest only",
                AadStorage::Stored => "prefix stored in the files",
                AadStorage::None => "no prefix",
            }
        ),
    ];
    for (name, columns) in [
        ("partition", &manifest.layout.partition_by),
        ("sorted by", &manifest.layout.sort_by),
    ] {
        if !columns.is_empty() {
            lines.push(format!("{name} {}", visible::line(&columns.join(", "))));
        }
    }
    lines.push("columns".into());
    for column in &manifest.columns {
        let key = column.key_id.as_deref().unwrap_or("NOT ENCRYPTED");
        lines.push(format!("  {}  {key}", visible::line(&column.path)));
    }
    lines.push(format!(
        "files     {}, {}",
        ui::count(manifest.files.len() as u64),
        ui::size(bytes)
    ));
    let files = manifest.files.iter();
    lines.extend(files.map(|file| format!("  {}  {}", file.path, ui::size(file.size))));
    lines.join("\n")
}

pub(super) fn verify(ui: &Ui, args: &LookArgs, snapshot: Option<u64>) -> Result<(), Failure> {
    let kms = args.table.keys.provider()?;
    let table = args.open(ui, snapshot)?;
    let spinner = ui.spinner("checking");
    let count = table.manifest().files.len();
    let mut done = 0;
    let reports = table::verify(&table, &kms, &mut |report| {
        done += 1;
        spinner.set_message(format!("{done} of {count}: {}", report.path));
    });
    spinner.finish_and_clear();
    let value = described(
        "duckblind/table-verify/v1",
        table.manifest(),
        json!({
            "whole": reports.iter().all(FileReport::is_whole),
            "files": reports.iter().map(report_value).collect::<Vec<_>>(),
        }),
    );
    ui.show(&value, || {
        let lines: Vec<_> = reports.iter().map(report_text).collect();
        lines.join("\n")
    });
    let broken = reports.iter().filter(|report| !report.is_whole()).count();
    if broken == 0 {
        let rows = reports
            .iter()
            .fold(0, |sum: u64, r| sum.saturating_add(r.rows));
        ui.note(&format!(
            "{count} files, {}: every byte is what was sealed",
            ui::rows(rows)
        ));
        return Ok(());
    }
    Err(NotWhole {
        table: table.manifest().table.clone(),
        broken,
        count,
    }
    .into())
}

fn report_value(report: &FileReport) -> Value {
    json!({
        "path": report.path,
        "rows": report.rows,
        "bytes": report.bytes,
        "whole": report.is_whole(),
        "unauthenticated": report.unauthenticated,
        "unread": report.unread,
        "error": report.error.as_ref().map(|error| json!({
            "code": error.code(),
            "message": error.to_string(),
        })),
    })
}

fn report_text(report: &FileReport) -> String {
    let list = |columns: &std::collections::BTreeSet<String>| {
        visible::line(
            &columns
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        )
        .into_owned()
    };
    let said = match &report.error {
        Some(error) => format!("FAILED: {error} [{}]", error.code()),
        None if report.is_whole() => "ok".to_owned(),
        None => {
            let mut parts = Vec::new();
            if !report.unauthenticated.is_empty() {
                parts.push(format!(
                    "NOT AUTHENTICATED: {}",
                    list(&report.unauthenticated)
                ));
            }
            if !report.unread.is_empty() {
                parts.push(format!("no key for {}", list(&report.unread)));
            }
            parts.join("; ")
        }
    };
    format!("  {}  {said}", report.path)
}

/// A table that is not all there, or not all checked.
#[derive(Debug, thiserror::Error)]
#[error("table `{table}`: {broken} of {count} files are not shown to be what was sealed")]
struct NotWhole {
    table: String,
    broken: usize,
    count: usize,
}

impl Coded for NotWhole {
    fn code(&self) -> &'static str {
        "DB-REQ-136"
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
    fn hint(&self) -> Option<String> {
        Some("restore files that failed from a good copy; give the keys of columns that were not read".into())
    }
}
