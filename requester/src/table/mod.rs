//! A sealed table as its reader has it: a verified manifest beside its files, and of its data keys
//! those that a query needs.
//!
//! * which manifest: the current one or an older snapshot ([`SealedTable::open`])
//! * none older than one seen before: [`SeenSnapshots`]
//! * which keys: [`NeededKeys`]

mod error;
mod keys;
mod seen;

use std::path::{Path, PathBuf};

use duckblind_lake::TableName;
use duckblind_lake::manifest::{
    Algorithm, FILE_NAME, MAX_MANIFEST, Manifest, ManifestFile, VerifiedManifest,
};
use duckblind_protocol::ids::PublicKey;

use crate::files::{self, FileError};

pub use error::InputError;
pub use keys::{MissingKey, NeededKeys};
pub use seen::SeenSnapshots;

/// A table whose manifest its owner signed.
pub struct SealedTable {
    name: TableName,
    bytes: Vec<u8>,
    manifest: VerifiedManifest,
    accepted: Vec<String>,
}

impl SealedTable {
    /// From the table's directory: the current manifest, or that of one snapshot.
    pub fn open(
        name: &str,
        dir: &Path,
        owner: &PublicKey,
        snapshot: Option<u64>,
    ) -> Result<Self, InputError> {
        let current = Self::from_manifest(name, read(&dir.join(FILE_NAME))?, owner)?;
        let Some(wanted) = snapshot.filter(|wanted| *wanted != current.manifest.snapshot) else {
            return Ok(current);
        };
        let path = snapshot_path(dir, wanted);
        let bytes = match read(&path) {
            Err(FileError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(InputError::NoSnapshot {
                    table: current.manifest.table.clone(),
                    wanted,
                    current: current.manifest.snapshot,
                });
            }
            other => other?,
        };
        let older = Self::from_manifest(name, bytes, owner)?;
        let same = older.manifest.table == current.manifest.table;
        if same && older.manifest.snapshot == wanted {
            Ok(older)
        } else {
            Err(InputError::OtherSnapshot {
                path,
                expected: format!("snapshot {wanted} of {}", current.manifest.table),
                got: format!(
                    "snapshot {} of {}",
                    older.manifest.snapshot, older.manifest.table
                ),
            })
        }
    }

    /// From the exact bytes of a manifest.
    pub fn from_manifest(
        name: &str,
        bytes: Vec<u8>,
        owner: &PublicKey,
    ) -> Result<Self, InputError> {
        Ok(Self {
            name: name.parse()?,
            manifest: VerifiedManifest::open(&bytes, owner, None)?,
            bytes,
            accepted: Vec::new(),
        })
    }

    /// Its name in SQL.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What its owner signed.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// The bytes that the signature is over.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Allows to read a column, or the leaves of one, although nothing may authenticate it. False
    /// if there is no such column.
    pub fn accept_unauthenticated(&mut self, column: &str) -> bool {
        let leaves: Vec<_> = self.manifest.columns.iter();
        let leaves = leaves
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
            self.manifest
                .files
                .iter()
                .any(|file| is_bare(&self.manifest, file, leaf))
        };
        self.accepted.iter().filter(bare).map(String::as_str)
    }

    /// Whether some column has a key of its own, which a job may or may not need.
    fn has_column_keys(&self) -> bool {
        let mut keys = self
            .manifest
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

/// Where the manifest of an older snapshot is.
fn snapshot_path(dir: &Path, snapshot: u64) -> PathBuf {
    dir.join("_snapshots").join(format!("{snapshot}.json"))
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    files::read_bytes(path, MAX_MANIFEST as u64)
}
