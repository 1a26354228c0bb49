//! Changes to a table, each a new snapshot.

use std::time::Instant;

use duckblind_lake::table::{self, AppendRequest, NewColumns};
use serde_json::json;

use super::AppendArgs;
use crate::cli::failure::Failure;
use crate::cli::meter::Meter;
use crate::cli::one_table::{OneTable, described, remember};
use crate::cli::seal::clear_columns;
use crate::cli::ui::{self, Ui};

pub(super) fn append(ui: &Ui, args: AppendArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let kms = args.table.keys.provider()?;
    let (owner, before) = args.table.begin(ui)?;
    let mut meter = Meter::new(ui);
    let appended = table::append(AppendRequest {
        start: (&before).into(),
        owner: &owner,
        kms: &kms,
        inputs: args.inputs,
        csv: args.csv.options(),
        new_columns: NewColumns {
            own_key: args.encrypt_column,
            clear: args.clear_column,
        },
        progress: &mut |progress| meter.report(ui, progress),
    });
    meter.end();
    let appended = appended?;
    let manifest = appended.table.manifest();
    remember(manifest)?;
    let old = clear_columns(before.manifest());
    let clear: Vec<_> = clear_columns(manifest)
        .into_iter()
        .filter(|column| !old.contains(column))
        .collect();
    if !clear.is_empty() {
        ui.warning(&format!(
            "NOT ENCRYPTED, readable for everybody: {}",
            clear.join(", ")
        ));
    }
    let value = described(
        "duckblind/table-append/v1",
        manifest,
        json!({
            "rows": appended.rows,
            "files": appended.files,
            "bytes": appended.bytes,
            "seconds": begun.elapsed().as_secs_f64(),
        }),
    );
    ui.show(&value, || {
        format!(
            "appended {} ({}) to {} in {}: snapshot {}",
            ui::rows(appended.rows),
            ui::size(appended.bytes),
            manifest.table,
            ui::duration(begun.elapsed()),
            manifest.snapshot,
        )
    });
    Ok(())
}

pub(super) fn compact(ui: &Ui, one: &OneTable, target: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    let kms = one.keys.provider()?;
    let (owner, before) = one.begin(ui)?;
    let spinner = ui.spinner("joining files");
    let done = table::compact(&before, &owner, &kms, target);
    spinner.finish_and_clear();
    let done = done?;
    let manifest = done.table.manifest();
    remember(manifest)?;
    let nothing = done.before == 0;
    let value = described(
        "duckblind/table-compact/v1",
        manifest,
        json!({
            "files_before": done.before,
            "files_after": done.after,
            "rows": done.rows,
            "bytes": done.bytes,
            "seconds": begun.elapsed().as_secs_f64(),
        }),
    );
    ui.show(&value, || {
        if nothing {
            return format!(
                "nothing to join in {}: snapshot {} stays",
                manifest.table, manifest.snapshot
            );
        }
        format!(
            "joined {} files of {} into {} in {}: snapshot {}",
            done.before,
            manifest.table,
            done.after,
            ui::duration(begun.elapsed()),
            manifest.snapshot,
        )
    });
    if nothing {
        ui.note("no two neighbouring files of one directory are small enough together");
    } else {
        ui.note("older snapshots keep the old files: `duckblind table expire` removes them");
    }
    Ok(())
}

pub(super) fn expire(ui: &Ui, one: &OneTable, keep: u64) -> Result<(), Failure> {
    let (owner, table) = one.begin(ui)?;
    let expired = table::expire(&table, &owner, keep)?;
    let value = json!({
        "schema": "duckblind/table-expire/v1",
        "table": table.manifest().table,
        "snapshots": expired.snapshots,
        "files": expired.files,
        "bytes": expired.bytes,
    });
    ui.show(&value, || {
        format!(
            "removed {} snapshots, {} files, {}",
            expired.snapshots,
            expired.files,
            ui::size(expired.bytes)
        )
    });
    Ok(())
}
