//! Files of a table written anew: under fresh data keys, or fewer of them.

use arrow::datatypes::SchemaRef;

use super::append::{add_columns, plan};
use super::change::{Change, Start};
use super::error::TableError;
use super::open::Table;
use super::rows::{self, TableRows};
use crate::keys::{Kms, OwnerKey};
use crate::manifest::{Manifest, ManifestFile};
use crate::seal::{Plan, Workspace, write_parts};

/// A table whose files were written anew.
#[derive(Debug)]
pub struct Rewritten {
    /// The new snapshot.
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
        (0..base.files.len()).map(|at| at..at + 1).collect()
    })
}

/// Joins neighbouring files that are smaller than `target` bytes into files of about that size.
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

/// Neighbours of one folder to be joined, as ranges of their places.
fn runs(files: &[ManifestFile], target: u64) -> Vec<std::ops::Range<usize>> {
    let folder = |file: &ManifestFile| file.path.rsplit_once('/').map(|(dir, _)| dir.to_owned());
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    let mut last: Option<(Option<String>, u64)> = None;
    for (at, file) in files.iter().enumerate() {
        let here = folder(file);
        let joined = match (&last, runs.last_mut()) {
            (Some((there, size)), Some(run))
                if *there == here
                    && run.end == at
                    && file.size < target
                    && *size < target
                    && size.saturating_add(file.size) <= target =>
            {
                run.end = at + 1;
                Some(size.saturating_add(file.size))
            }
            _ => None,
        };
        if joined.is_none() {
            runs.push(at..at + 1);
        }
        last = Some((here, joined.unwrap_or(file.size)));
    }
    runs.retain(|run| run.len() > 1);
    runs
}

fn rewrite(
    start: Start<'_>,
    owner: &OwnerKey,
    kms: &dyn Kms,
    order: Order,
    choose: impl FnOnce(&Manifest) -> Vec<std::ops::Range<usize>>,
) -> Result<Rewritten, TableError> {
    let mut change = Change::begin(start, owner)?;
    let (base, workspace) = change.parts()?;
    let manifest = base.manifest();
    let chosen = choose(manifest);
    if chosen.is_empty() {
        return Err(TableError::Nothing {
            why: "no two neighbouring files are small enough to be joined",
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
    let mut at = 0;
    for run in chosen {
        next.files.extend(
            manifest
                .files
                .get(at..run.start)
                .unwrap_or(&[])
                .iter()
                .cloned(),
        );
        let old = manifest.files.get(run.clone()).unwrap_or(&[]);
        let number = manifest.files.len().saturating_add(after);
        let made = write_run(base, kms, workspace, &plan, (old, &schema), number)?;
        before += old.len();
        after += made.files.len();
        rows += made.rows;
        bytes += made.files.iter().map(|file| file.size).sum::<u64>();
        next.files.extend(made.files);
        at = run.end;
    }
    next.files
        .extend(manifest.files.get(at..).unwrap_or(&[]).iter().cloned());
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
