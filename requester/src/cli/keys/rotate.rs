//! `duckblind keys rotate`.

use std::time::Instant;

use duckblind_lake::KeyId;
use duckblind_lake::keys::{KeyError, KeyFile, KeyProvider};
use duckblind_lake::table::{Rotation, Table, rotate_data};
use serde_json::json;

use super::{RotateArgs, set_variables};
use crate::cli::failure::Failure;
use crate::cli::one_table::{described, remember};
use crate::cli::ui::{self, Ui};

pub(super) fn rotate(ui: &Ui, args: &RotateArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let (owner, before) = args.table.begin(ui)?;
    // Once: a descriptor may be a pipe.
    let mut keys = args.table.keys.provider()?;
    if args.data {
        let spinner = ui.spinner("writing files anew");
        let done = rotate_data(&before, &owner, &keys);
        spinner.finish_and_clear();
        let done = done?;
        report(ui, &done.table, &[], done.bytes, begun)?;
        ui.note("older snapshots keep the old files and data keys: `duckblind table expire` removes them");
        return Ok(());
    }
    let rotation = Rotation::begin(&before, &owner, &keys)?;
    // Held to the end: no other process writes the key file meanwhile.
    let mut file = KeyFile::load_to_change(&args.table.keys.key_file()?)?;
    keys.reload()?;
    let variables = set_variables(rotation.key_ids());
    let ids = new_keys(&rotation, &keys, &mut file)?;
    keys.reload()?;
    let rotated = rotation.wrap(&keys)?;
    // Once the manifest is there, the table opens with these keys only.
    if !file.is_stored(&ids)? {
        return Err(Failure::usage(
            format!("the new keys are not in {}", file.path().display()),
            Some(
                "another program wrote the file: stop it and rotate again; the table is as it was",
            ),
        ));
    }
    let table = rotated.commit()?;
    let made: Vec<_> = ids.iter().map(ToString::to_string).collect();
    report(ui, &table, &made, 0, begun)?;
    if !made.is_empty() {
        let path = file.path().display();
        ui.note(&format!(
            "the new keys are in {path}: keep that file, without it the table cannot be read"
        ));
    }
    if !variables.is_empty() {
        ui.warning(&format!(
            "new keys of {} are in no key file: keep them, without them the table cannot be read",
            variables.join(", ")
        ));
    }
    ui.note(
        "keep the old keys for older snapshots, until `duckblind table expire` has removed those",
    );
    Ok(())
}

/// Makes and saves the keys of the next version, before anything is wrapped under them. Those that
/// are there already, in the environment too, serve: an earlier rotation may have ended after
/// making them.
fn new_keys(
    rotation: &Rotation<'_>,
    keys: &KeyProvider,
    file: &mut KeyFile,
) -> Result<Vec<KeyId>, Failure> {
    let needed = rotation.key_ids().into_iter();
    let ids: Vec<_> = needed
        .filter(|id| {
            let key = keys.table_key(&id.to_string());
            matches!(key, Err(KeyError::Missing { .. }))
        })
        .collect();
    if !ids.is_empty() {
        file.generate(&ids)?;
        file.save()?;
    }
    Ok(ids)
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
    let value = described(
        "duckblind/keys-rotate/v1",
        manifest,
        json!({
            "key_version": manifest.key_version(),
            "made": made,
            "bytes_written": bytes,
            "seconds": begun.elapsed().as_secs_f64(),
        }),
    );
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
