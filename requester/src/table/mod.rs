//! A sealed table as its reader has it: a verified manifest beside its files, and of its data keys
//! those that a query needs.
//!
//! * which manifest: the current one or an older snapshot ([`SealedTable::open`])
//! * none older than one seen before: [`SeenSnapshots`]
//! * which keys: [`NeededKeys`]

mod error;
mod keys;
mod seen;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

use duckblind_lake::TableName;
use duckblind_lake::manifest::{Algorithm, Manifest, ManifestFile, VerifiedManifest};
use duckblind_lake::sealed_file::LocalFile;
use duckblind_lake::table::{At, Table};
use duckblind_protocol::ids::PublicKey;

pub use error::InputError;
pub use keys::{MissingKey, NeededKeys};
pub use seen::{Continuity, SeenSnapshots};

/// A table whose manifest its owner signed.
pub struct SealedTable {
    name: TableName,
    table: Table,
    accepted: Vec<String>,
}

impl SealedTable {
    /// From the table's directory: the current snapshot, or an older one.
    pub fn open(
        name: &str,
        dir: &Path,
        owner: &PublicKey,
        snapshot: Option<u64>,
    ) -> Result<Self, InputError> {
        let at = snapshot.map_or(At::Current, At::Snapshot);
        Self::of(name, Table::open(dir, owner, at)?)
    }

    /// A table that was read, under the name that its owner gave it.
    pub fn of(name: &str, table: Table) -> Result<Self, InputError> {
        let name: TableName = name.parse()?;
        let holds = &table.manifest().table;
        if holds != name.as_str() {
            return Err(InputError::OtherTable {
                dir: table.dir().into(),
                holds: holds.clone(),
                name: name.to_string(),
            });
        }
        Ok(Self {
            name,
            table,
            accepted: Vec::new(),
        })
    }

    /// Its name in SQL.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What its owner signed.
    pub fn manifest(&self) -> &VerifiedManifest {
        self.table.manifest()
    }

    /// The manifest as it is on disk.
    pub fn manifest_bytes(&self) -> &[u8] {
        self.table.manifest_bytes()
    }

    /// The stored bytes of one of its files.
    pub(crate) fn stored(&self, file: &ManifestFile) -> std::io::Result<LocalFile> {
        self.table.stored(file)
    }

    /// The directory that it was read from.
    pub fn dir(&self) -> &Path {
        self.table.dir()
    }

    /// Allows to read a column, or the leaves of one, although nothing may authenticate it. False
    /// if there is no such column.
    pub fn accept_unauthenticated(&mut self, column: &str) -> bool {
        let leaves: Vec<_> = self
            .manifest()
            .columns
            .iter()
            .map(|leaf| leaf.path.clone())
            .filter(|path| {
                path.strip_prefix(column)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .collect();
        let known = !leaves.is_empty();
        self.accepted.extend(leaves);
        known
    }

    /// Leaf columns that may be read unauthenticated.
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Those of them that are really without authentication in some file.
    pub fn unauthenticated(&self) -> impl Iterator<Item = &str> {
        let bare = |leaf: &&String| {
            self.manifest()
                .files
                .iter()
                .any(|file| is_bare(self.manifest(), file, leaf))
        };
        self.accepted.iter().filter(bare).map(String::as_str)
    }

    /// Whether some column has a key of its own, which a job may or may not need.
    fn has_column_keys(&self) -> bool {
        let mut keys = self
            .manifest()
            .files
            .iter()
            .flat_map(|file| &file.wrapped_keys);
        keys.any(|wrapped| wrapped.column.is_some())
    }
}

/// Neither tags nor digests.
fn is_bare(manifest: &Manifest, file: &ManifestFile, leaf: &str) -> bool {
    let clear = manifest
        .columns
        .iter()
        .any(|column| column.path == leaf && column.key_id.is_none());
    (clear || file.algorithm == Algorithm::GcmCtr) && !file.chunk_digests.contains_key(leaf)
}
