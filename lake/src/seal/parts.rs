//! Rows in, the data files of a table out. What names them, a manifest, is not written here.

use arrow::record_batch::RecordBatch;

use super::check::check;
use super::error::SealError;
use super::file_keys::NewKeys;
use super::partition::Partitions;
use super::plan::Plan;
use super::sort::{Budget, sorted};
use super::workspace::Workspace;
use super::writer::write_rows;
use crate::keys::Kms;
use crate::manifest::{Algorithm, MAX_FILES, MAX_MANIFEST, ManifestFile};

/// Rows on their way into files.
pub type Rows<'a> = &'a mut dyn Iterator<Item = Result<RecordBatch, SealError>>;

/// Writes rows as files of the table that `plan` describes, at least one: sorted and partitioned as
/// its layout says, each file published under its final name, synced and checked. The files belong
/// to `workspace`, which removes them unless it is told to keep them. `first_number` is how many
/// files the table has already.
pub fn write_parts(
    workspace: &mut Workspace,
    plan: &Plan,
    kms: &dyn Kms,
    rows: Rows<'_>,
    first_number: usize,
) -> Result<Vec<ManifestFile>, SealError> {
    let mut sorted = sorted(workspace, plan, rows, Budget::default())?;
    let mut partitions = Partitions::new(plan, &mut sorted)?;
    let mut parts = Parts {
        workspace,
        plan,
        kms,
        first_number,
        files: Vec::new(),
        described: 0,
    };
    while let Some(folder) = partitions.folder()? {
        parts.write(&folder, &mut partitions.within(&folder))?;
    }
    if parts.files.is_empty() {
        parts.write("", &mut std::iter::empty())?;
    }
    Ok(parts.files)
}

struct Parts<'a> {
    workspace: &'a mut Workspace,
    plan: &'a Plan,
    kms: &'a dyn Kms,
    first_number: usize,
    files: Vec<ManifestFile>,
    /// Bytes that a manifest needs to name the files.
    described: usize,
}

impl Parts<'_> {
    /// Writes one file in `folder`, which is empty or ends in `/`.
    fn write(&mut self, folder: &str, rows: Rows<'_>) -> Result<(), SealError> {
        let number = self.first_number.saturating_add(self.files.len());
        // What no manifest could name is not written.
        if number >= MAX_FILES || self.described > MAX_MANIFEST {
            return Err(SealError::TooLarge);
        }
        let (plan, keys) = (self.plan, NewKeys::generate(self.plan)?);
        let path = format!("{folder}{}", part_name(number, &keys.id.to_string()));
        let (file, unnamed) = self.workspace.create(&path)?;
        let written = write_rows(file, plan.schema(), rows, Some(keys.encryption(plan)?))?;
        let checked = check(&unnamed.path, plan, &keys, written.rows)?;
        self.workspace.publish(unnamed)?;
        let file = ManifestFile {
            path,
            size: checked.size,
            footer_digest: checked.footer_digest,
            file_id: keys.id,
            algorithm: Algorithm::Gcm,
            aad: keys.aad(),
            version: None,
            wrapped_keys: keys.wrap(plan, self.kms)?,
            chunk_digests: checked.chunk_digests,
        };
        self.described += serde_json::to_vec(&file).map_or(0, |json| json.len());
        self.files.push(file);
        Ok(())
    }
}

/// Unique across all snapshots of a table: part of the random file id is in it.
pub(super) fn part_name(number: usize, id: &str) -> String {
    let id = id.get(..8).unwrap_or(id);
    format!("part-{number:05}-{id}.parquet")
}
