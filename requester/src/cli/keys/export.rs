//! `duckblind keys export`.

use std::io::{IsTerminal as _, Write as _};

use duckblind_lake::table::{At, export_keys};

use super::ExportArgs;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::error::RequesterError;
use crate::files;
use crate::output::OutputError;

pub(super) fn export(ui: &Ui, args: &ExportArgs) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if args.out.is_none() && !args.reveal && out.is_terminal() {
        return Err(Failure::usage(
            "keys are not shown on a terminal",
            Some(
                "write them to a file with --out FILE, or pipe stdout; --reveal shows them all the same",
            ),
        ));
    }
    let kms = args.table.keys.provider()?;
    let owner = args.table.keys.owner()?.public();
    let table = args
        .table
        .open(ui, &owner, args.snapshot.map_or(At::Current, At::Snapshot))?;
    let keys = export_keys(&table, &args.file, &kms)?;
    match &args.out {
        Some(path) => {
            files::create_new(path, 0o600, keys.as_bytes()).map_err(RequesterError::from)?;
            ui.note(&format!(
                "data keys of {} are in {}: whoever reads that file reads this one",
                args.file,
                path.display()
            ));
        }
        None => out
            .write_all(keys.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::BrokenPipe => OutputError::Closed,
                _ => OutputError::Write(source),
            })?,
    }
    Ok(())
}
