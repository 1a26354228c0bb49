//! More rows for a table that exists.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;

use super::change::{Change, Start};
use super::error::TableError;
use super::open::Table;
use super::rows;
use crate::keys::{Kms, OwnerKey};
use crate::manifest::{ColumnKey, Manifest};
use crate::names::KeyId;
use crate::seal::{CsvOptions, Plan, Progress, SealError, Source, write_parts};

/// What to append, and how.
pub struct AppendRequest<'a> {
    /// The table.
    pub start: Start<'a>,
    /// Signs the manifest.
    pub owner: &'a OwnerKey,
    /// Wraps the data keys.
    pub kms: &'a dyn Kms,
    /// CSV, TSV, JSON lines or Parquet, by the ends of their names.
    pub inputs: Vec<PathBuf>,
    /// What CSV inputs do not say themselves.
    pub csv: CsvOptions,
    /// How columns are protected that the table does not have yet.
    pub new_columns: NewColumns,
    /// Hears how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// Columns that a table gets. By default they are encrypted under the table's key, also where
/// others are in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewColumns {
    /// With keys of their own: leaf paths, or names of columns with all their leaves.
    pub own_key: Vec<String>,
    /// In the clear.
    pub clear: Vec<String>,
}

/// What was appended.
#[derive(Debug)]
pub struct Appended {
    /// The new snapshot.
    pub table: Table,
    /// Rows that were added.
    pub rows: u64,
    /// Files that were added.
    pub files: usize,
    /// Stored bytes that were added.
    pub bytes: u64,
}

/// Appends rows to a table, in new files. The rows have all columns of the table and perhaps new
/// ones, which are NULL in all rows before.
pub fn append(request: AppendRequest<'_>) -> Result<Appended, TableError> {
    let kms = request.kms;
    let mut change = Change::begin(request.start, request.owner)?;
    let (base, workspace) = change.parts()?;
    let target = rows::schema(base, kms)?;
    let mut source = Source::open(
        request.inputs,
        &request.csv,
        Some(&target),
        request.progress,
    )?;
    let mut next = base.manifest().manifest().clone();
    protect(&mut next, source.schema(), &request.new_columns)?;
    let plan = plan(&next, source.schema(), kms)?;
    let files = write_parts(workspace, &plan, kms, &mut source, next.files.len())?;
    let (added, bytes) = (files.len(), files.iter().map(|file| file.size).sum());
    next.schema = plan.fields();
    add_columns(&mut next.columns, plan.columns());
    next.files.extend(files);
    let rows = source.rows();
    Ok(Appended {
        table: change.commit(next)?,
        rows,
        files: added,
        bytes,
    })
}

/// How new files of a table are written; refused if `kms` cannot tell its keys apart.
pub(super) fn plan(
    manifest: &Manifest,
    schema: &SchemaRef,
    kms: &dyn Kms,
) -> Result<Plan, TableError> {
    let plan = Plan::of_manifest(manifest, SchemaRef::clone(schema))?;
    plan.distinguish(kms)?;
    Ok(plan)
}

/// Adds the leaves that are new; a leaf that only older files have stays.
pub(super) fn add_columns(columns: &mut Vec<ColumnKey>, planned: &[ColumnKey]) {
    for column in planned {
        if !columns.iter().any(|known| known.path == column.path) {
            columns.push(column.clone());
        }
    }
}

/// Says how the new leaves of `schema` are protected, as far as `new` says.
fn protect(
    manifest: &mut Manifest,
    schema: &SchemaRef,
    new: &NewColumns,
) -> Result<(), TableError> {
    let leaves = ArrowSchemaConverter::new()
        .convert(schema)
        .map_err(SealError::from)?;
    let version = manifest.key_version();
    let mut used = vec![false; new.own_key.len() + new.clear.len()];
    for leaf in leaves.columns() {
        let path = leaf.path().string();
        if manifest.columns.iter().any(|known| known.path == path) {
            continue;
        }
        let root = leaf.path().parts().first();
        let names = new.own_key.iter().chain(&new.clear).zip(&mut used);
        let mut chosen = None;
        for (at, (name, used)) in names.enumerate() {
            if *name == path || Some(name) == root {
                *used = true;
                chosen.get_or_insert(at);
            }
        }
        let key_id = match chosen {
            None => continue,
            Some(at) if at < new.own_key.len() => {
                Some(KeyId::of_column(&manifest.table, version, &path).to_string())
            }
            Some(_) => None,
        };
        manifest.columns.push(ColumnKey { path, key_id });
    }
    let names = new.own_key.iter().chain(&new.clear);
    match names.zip(used).find(|(_, used)| !used) {
        Some((name, _)) => Err(TableError::Unknown {
            table: manifest.table.clone(),
            what: format!("new column `{name}`"),
        }),
        None => Ok(()),
    }
}
