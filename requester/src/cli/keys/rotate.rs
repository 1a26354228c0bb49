//! `duckblind keys rotate`.

use std::time::Instant;

use duckblind_lake::keys::{KeyFile, KeyProvider};
use duckblind_lake::table::{Table, next_key_ids, rotate_data, rotate_keys};
use serde_json::json;

use super::RotateArgs;
use crate::cli::failure::Failure;
use crate::cli::one_table::remember;
use crate::cli::ui::{self, Ui};

pub(super) fn rotate(ui: &Ui, args: &RotateArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let dir = args.table.dir();
    let (owner, before) = args.table.begin()?;
    if args.data {
        let kms = args.table.keys.provider()?;
        let spinner = ui.spinner("writing files anew");
        let done = rotate_data(dir, &owner, &kms);
        spinner.finish_and_clear();
        let done = done?;
        report(ui, &done.table, &[], done.bytes, begun)?;
        ui.note("older snapshots keep the old files and data keys: `duckblind table expire` removes them");
        return Ok(());
    }
    let made = new_keys(args, &before)?;
    let table = rotate_keys(dir, &owner, &args.table.keys.provider()?)?;
    report(ui, &table, &made, 0, begun)?;
    ui.note(
        "keep the old keys for older snapshots, until `duckblind table expire` has removed those",
    );
    Ok(())
}

/// Makes and saves the keys of the next version before anything is wrapped under them. Those that
/// are there already, in the environment too, serve: an earlier rotation may have ended after
/// making them.
fn new_keys(args: &RotateArgs, table: &Table) -> Result<Vec<String>, Failure> {
    let keys = args.table.keys.provider()?;
    let needed = next_key_ids(table.manifest())?;
    let missing = |keys: &KeyProvider, id: &str| keys.table_key(id).is_err();
    let ids: Vec<_> = needed
        .into_iter()
        .filter(|id| missing(&keys, &id.to_string()))
        .collect();
    if !ids.is_empty() {
        let mut file = KeyFile::load_or_empty(&args.table.keys.key_file()?)?;
        file.generate(&ids)?;
        file.save()?;
    }
    Ok(ids.iter().map(ToString::to_string).collect())
}

fn report(
    ui: &Ui,
    table: &Table,
    made: &[String],
    bytes: u64,
    begun: Instant,
) -> Result<(), Failure> {
    let manifest = table.manifest();
    remember(manifest)?;
    let value = json!({
        "schema": "duckblind/keys-rotate/v1",
        "table": manifest.table,
        "snapshot": manifest.snapshot,
        "manifest": manifest.digest(),
        "key_version": manifest.key_version(),
        "made": made,
        "bytes_written": bytes,
        "seconds": begun.elapsed().as_secs_f64(),
    });
    ui.show(&value, || {
        let what = match made {
            [] => format!("{} under keys v{}", manifest.table, manifest.key_version()),
            made => format!("{} under new keys {}", manifest.table, made.join(", ")),
        };
        format!(
            "{what}, {} written, in {}: snapshot {}",
            ui::size(bytes),
            ui::duration(begun.elapsed()),
            manifest.snapshot
        )
    });
    Ok(())
}
