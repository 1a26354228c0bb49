//! `duckblind table import`.

use std::path::PathBuf;
use std::time::Instant;

use duckblind_lake::keys::ForeignKeys;
use duckblind_lake::manifest::Algorithm;
use duckblind_lake::table::{self, ImportRequest, parquet_files};
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::one_table::{OneTable, described};
use crate::cli::ui::{self, Ui};
use crate::output::visible;

const EXAMPLES: &str = "\
Examples:
  duckblind keys new sales
  duckblind table import --table sales=/data/sales --file-keys sales.keys.json
  duckblind table import --table sales=/data/icefall/sales --icefall --file-keys sales.keys.json

The file of --file-keys, mode 0600: {\"keys\":{\"ID\":\"hex\"}}; more in docs/sealed-tables.md.";

/// Make a sealed table of files that were encrypted elsewhere
///
/// Signs a manifest over the Parquet files in the table's directory, which stay as they are. Every
/// file is opened with its keys first, and what carries no tags is hashed. The files' data keys are
/// wrapped under the table's key.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ImportArgs {
    #[command(flatten)]
    table: OneTable,
    /// The files' own keys, in a file that only you can read
    #[arg(long, value_name = "FILE")]
    file_keys: PathBuf,
    /// The AAD prefix of files that do not store theirs, in hex
    #[arg(long, value_name = "HEX", value_parser = prefix)]
    aad_prefix: Option<Prefix>,
    /// Wrap the data keys of this column under a key of its own
    #[arg(long, value_name = "COLUMN")]
    encrypt_column: Vec<String>,
    /// The directory has IcefallDB's layout, with an _encryption.json
    #[arg(long)]
    icefall: bool,
}

#[derive(Clone, Debug)]
struct Prefix(Vec<u8>);

fn prefix(text: &str) -> Result<Prefix, String> {
    hex::decode(text)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .map(Prefix)
        .ok_or_else(|| "expected bytes in hex".into())
}

pub(super) fn import(ui: &Ui, args: ImportArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let dir = args.table.dir();
    let kms = args.table.keys.provider()?;
    let (owner, new) = args.table.begin_new(ui)?;
    let given = ForeignKeys::load(&args.file_keys)?;
    let asked = args.aad_prefix.map(|prefix| prefix.0);
    let (files, keys, found) = if args.icefall {
        let layout = table::icefall(dir, &given)?;
        (layout.files, layout.keys, layout.aad_prefix)
    } else {
        (parquet_files(dir)?, given, None)
    };
    let count = files.len();
    let spinner = ui.spinner("opening every file");
    let imported = table::import(&ImportRequest {
        dir,
        table: args.table.name(),
        owner: &owner,
        kms: &kms,
        files,
        keys: &keys,
        aad_prefix: asked.or(found),
        own_keys: args.encrypt_column,
    });
    spinner.finish_and_clear();
    let imported = imported?;
    let manifest = imported.table.manifest();
    new.made(manifest)?;
    if !imported.clear.is_empty() {
        ui.warning(&format!(
            "NOT ENCRYPTED, readable for everybody, and signed as they lie here, whoever wrote them: {}",
            visible::line(&imported.clear.join(", "))
        ));
    }
    let files = manifest.files.iter();
    let mut ctr = files.filter(|file| file.algorithm == Algorithm::GcmCtr);
    if let Some(file) = ctr.next() {
        ui.warning(&format!(
            "pages under AES_GCM_CTR_V1 have no tags, in {} and {} others: they are signed as they lie \
             here, and nothing shows that they are as they were written",
            file.path,
            ctr.count(),
        ));
    }
    let value = described(
        "duckblind/table-import/v1",
        manifest,
        json!({
            "owner": manifest.owner,
            "columns": manifest.schema,
            "column_keys": manifest.columns,
            "clear_columns": imported.clear,
            "files": count,
            "rows": imported.rows,
            "bytes": imported.bytes,
            "seconds": begun.elapsed().as_secs_f64(),
        }),
    );
    ui.show(&value, || {
        format!(
            "imported {} files, {} ({}), as {} in {}",
            ui::count(count as u64),
            ui::rows(imported.rows),
            ui::size(imported.bytes),
            manifest.table,
            ui::duration(begun.elapsed()),
        )
    });
    Ok(())
}
