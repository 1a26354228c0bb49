//! From a request to a sealed table.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use duckblind_protocol::ids::FileId;

use super::csv_options::CsvOptions;
use super::error::SealError;
use super::options::SealOptions;
use super::parts::{part_name, write_parts};
use super::plan::Plan;
use super::progress::Progress;
use super::source::Source;
use super::workspace::Workspace;
use super::writer::{Protection, write_file};
use crate::keys::{KeyError, Kms, OwnerKey};
use crate::manifest::{Manifest, VERSION};
use crate::names::{FIRST_KEY, TableName};
use crate::table::Change;

/// What to seal, and how.
pub struct SealRequest<'a> {
    /// CSV, TSV, JSON lines, Parquet or Arrow, by the ends of their names.
    pub inputs: Vec<PathBuf>,
    /// The table's name in SQL.
    pub table: String,
    /// Where the table goes; made if it is not there.
    pub out_dir: PathBuf,
    /// Wraps the data keys.
    pub kms: &'a dyn Kms,
    /// Signs the manifest.
    pub owner: &'a OwnerKey,
    /// How it is to be sealed.
    pub options: SealOptions,
    /// Hears how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// A table just sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes of `_sealed.json`.
    pub manifest_bytes: Vec<u8>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all sealed files.
    pub bytes: u64,
}

/// A table written in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unencrypted {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Seals a table.
pub fn seal(request: SealRequest<'_>) -> Result<Sealed, SealError> {
    let table: TableName = request.table.parse()?;
    let mut change = Change::create(&request.out_dir, request.owner)?;
    let SealOptions {
        csv,
        encryption,
        layout,
    } = request.options;
    let mut source = Source::open(request.inputs, &csv, None, request.progress)?;
    let schema = SchemaRef::clone(source.schema());
    let newest = request.kms.newest_version(table.as_str());
    let plan =
        Plan::new(&table, schema, &encryption, layout)?.at_version(newest.unwrap_or(FIRST_KEY));
    plan.distinguish(request.kms)?;
    let files = write_parts(change.workspace(), &plan, request.kms, &mut source, 0)
        .map_err(SealError::of_new_table)?;
    let bytes = files.iter().map(|file| file.size).sum();
    let manifest = Manifest {
        v: VERSION,
        table: table.to_string(),
        snapshot: 1,
        schema: plan.fields(),
        columns: plan.columns().to_vec(),
        layout: plan.layout().clone(),
        files,
        owner: request.owner.public(),
        previous: None,
    };
    let table = change.commit(manifest)?;
    Ok(Sealed {
        manifest_bytes: table.manifest_bytes().to_vec(),
        rows: source.rows(),
        bytes,
    })
}

/// Writes the same Parquet that [`seal`] writes by default, but in the clear and without a
/// manifest: what sealing is measured against.
pub fn write_unencrypted(
    inputs: Vec<PathBuf>,
    out_dir: PathBuf,
    progress: &mut dyn FnMut(Progress),
) -> Result<Unencrypted, SealError> {
    let mut source = Source::open(inputs, &CsvOptions::default(), None, progress)?;
    let schema = SchemaRef::clone(source.schema());
    let mut workspace = Workspace::open(&out_dir)?;
    let mut done = Unencrypted {
        files: Vec::new(),
        rows: 0,
        bytes: 0,
    };
    let mut full = true;
    while full {
        let id = FileId::random().map_err(|_| KeyError::Randomness)?;
        let (file, unnamed) = workspace.create(&part_name(done.files.len(), &id.to_string()))?;
        let written = write_file(file, &schema, &mut source, Protection::Clear)?;
        let path = workspace.publish(unnamed)?;
        full = written.full;
        done.rows += written.rows;
        done.bytes += std::fs::metadata(&path).map_or(0, |about| about.len());
        done.files.push(path);
    }
    workspace.sync()?;
    workspace.keep();
    Ok(done)
}
