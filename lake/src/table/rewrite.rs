//! Files of a table written anew: under fresh data keys, or fewer of them.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use super::append::{add_columns, plan};
use super::change::{Change, Start};
use super::error::TableError;
use super::open::Table;
use super::rows::{self, TableRows};
use crate::keys::{Kms, OwnerKey};
use crate::manifest::{Manifest, ManifestFile};
use crate::seal::{Plan, Workspace, write_parts};

/// A table whose files were written anew. No files at all: nothing was done.
#[derive(Debug)]
pub struct Rewritten {
    /// The new snapshot; where nothing was done, the old one.
    pub table: Table,
    /// Files that were replaced.
    pub before: usize,
    /// Files that replace them.
    pub after: usize,
    /// Their rows.
    pub rows: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

/// Writes every file anew under fresh data keys: the same rows in the same order. Older snapshots
/// keep the old files and keys until they expire.
pub fn rotate_data<'a>(
    start: impl Into<Start<'a>>,
    owner: &OwnerKey,
    kms: &dyn Kms,
) -> Result<Rewritten, TableError> {
    rewrite(start.into(), owner, kms, Order::Kept, |base| {
        (0..base.files.len()).map(|at| vec![at]).collect()
    })
}

/// Joins neighbouring files of one directory that are smaller than `target` bytes into files of about
/// that size. A joined file takes the place of the first of them.
pub fn compact<'a>(
    start: impl Into<Start<'a>>,
    owner: &OwnerKey,
    kms: &dyn Kms,
    target: u64,
) -> Result<Rewritten, TableError> {
    rewrite(start.into(), owner, kms, Order::Sorted, |base| {
        runs(&base.files, target)
    })
}

/// What becomes of the rows' order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing.
    Kept,
    /// Joined rows are sorted as the table's layout says.
    Sorted,
}

/// Files to be joined, each run as places in order. Neighbours are those that follow each other among
/// the files of one directory: the manifest of a partitioned table has them far from each other.
fn runs(files: &[ManifestFile], target: u64) -> Vec<Vec<usize>> {
    let mut folders: BTreeMap<&str, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let folder = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        folders.entry(folder).or_default().push((at, file.size));
    }
    let mut runs = Vec::new();
    for files in folders.into_values() {
        let mut run = Vec::new();
        let mut sum = 0_u64;
        for (at, size) in files {
            sum = sum.saturating_add(size);
            if sum > target {
                runs.push(std::mem::take(&mut run));
                sum = size;
            }
            run.push(at);
        }
        runs.push(run);
    }
    runs.retain(|run| run.len() > 1);
    runs
}

fn rewrite(
    start: Start<'_>,
    owner: &OwnerKey,
    kms: &dyn Kms,
    order: Order,
    choose: impl FnOnce(&Manifest) -> Vec<Vec<usize>>,
) -> Result<Rewritten, TableError> {
    let mut change = Change::begin(start, owner)?;
    let (base, workspace) = change.parts()?;
    let manifest = base.manifest();
    let chosen = choose(manifest);
    if chosen.is_empty() {
        return Ok(Rewritten {
            table: base.clone(),
            before: 0,
            after: 0,
            rows: 0,
            bytes: 0,
        });
    }
    let schema = rows::schema(base, kms)?;
    let mut shape = manifest.manifest().clone();
    if order == Order::Kept {
        // They are sorted already, and sorting costs.
        shape.layout.sort_by.clear();
    }
    let plan = plan(&shape, &schema, kms)?;
    let mut next = manifest.manifest().clone();
    next.files.clear();
    let (mut before, mut after, mut rows, mut bytes) = (0, 0, 0, 0_u64);
    // By the place of a run's first file, what comes there; nothing in the places of the others.
    let mut changed: BTreeMap<usize, Vec<ManifestFile>> = BTreeMap::new();
    for run in chosen {
        let old: Vec<_> = run
            .iter()
            .filter_map(|at| manifest.files.get(*at))
            .cloned()
            .collect();
        let number = manifest.files.len().saturating_add(after);
        let made = write_run(base, kms, workspace, &plan, (&old, &schema), number)?;
        before += old.len();
        after += made.files.len();
        rows += made.rows;
        bytes += made.files.iter().map(|file| file.size).sum::<u64>();
        changed.extend(run.iter().map(|at| (*at, Vec::new())));
        changed.extend(run.first().map(|at| (*at, made.files)));
    }
    for (at, file) in manifest.files.iter().enumerate() {
        match changed.remove(&at) {
            Some(files) => next.files.extend(files),
            None => next.files.push(file.clone()),
        }
    }
    add_columns(&mut next.columns, plan.columns());
    Ok(Rewritten {
        table: change.commit(next)?,
        before,
        after,
        rows,
        bytes,
    })
}

struct Run {
    files: Vec<ManifestFile>,
    rows: u64,
}

fn write_run(
    base: &Table,
    kms: &dyn Kms,
    workspace: &mut Workspace,
    plan: &Plan,
    (old, schema): (&[ManifestFile], &SchemaRef),
    number: usize,
) -> Result<Run, TableError> {
    let mut rows = TableRows::new(base, kms, SchemaRef::clone(schema), old);
    let written = write_parts(workspace, plan, kms, &mut rows, number);
    Ok(Run {
        files: rows.result(written)?,
        rows: rows.rows,
    })
}
