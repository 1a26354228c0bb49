//! A table as it is, or as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_protocol::ids::{Digest, PublicKey};

use super::SNAPSHOTS_DIR;
use super::error::TableError;
use super::files::{open_regular, read_manifest};
use crate::keys::Kms;
use crate::manifest::{FILE_NAME, ManifestFile, VerifiedManifest};
use crate::sealed_file::{LocalFile, SealedFile};

/// How often a table that is being changed is read again.
const TRIES: usize = 8;

/// Which snapshot of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Current,
    /// The one with this number.
    Snapshot(u64),
}

/// One snapshot of a table whose manifest was verified.
#[derive(Clone, Debug)]
pub struct Table {
    dir: PathBuf,
    manifest: VerifiedManifest,
    bytes: Vec<u8>,
}

/// Where the manifest of an older snapshot is kept.
pub fn snapshot_path(dir: &Path, snapshot: u64) -> PathBuf {
    dir.join(SNAPSHOTS_DIR).join(format!("{snapshot}.json"))
}

impl Table {
    /// Reads and verifies a table's manifest. An older snapshot must be the one that the history of
    /// the newest one names.
    pub fn open(dir: &Path, owner: &PublicKey, at: At) -> Result<Self, TableError> {
        let current = Self::current(dir, owner)?;
        match at {
            At::Current => Ok(current),
            At::Snapshot(number) if number == current.manifest.snapshot => Ok(current),
            At::Snapshot(number) => current.at(number),
        }
    }

    fn current(dir: &Path, owner: &PublicKey) -> Result<Self, TableError> {
        let mut newest = 0;
        let mut snapshot = 0;
        for _ in 0..TRIES {
            let table = Self::read(dir, &dir.join(FILE_NAME), owner, None)?;
            let table = table.ok_or_else(|| TableError::Missing { dir: dir.into() })?;
            snapshot = table.manifest.snapshot;
            newest = kept(dir)?.last().copied().unwrap_or(0);
            if newest <= snapshot {
                return Ok(table);
            }
            // Either a writer was faster than this, or somebody put an old manifest back.
        }
        Err(TableError::RolledBack {
            dir: dir.into(),
            current: snapshot,
            newest,
        })
    }

    /// This snapshot or an older one, back along the digests.
    pub fn at(&self, number: u64) -> Result<Self, TableError> {
        let missing = || TableError::Snapshot {
            dir: self.dir.clone(),
            snapshot: number,
        };
        if number == 0 || number > self.manifest.snapshot {
            return Err(missing());
        }
        let mut found = self.clone();
        while found.manifest.snapshot > number {
            found = found.previous()?.ok_or_else(missing)?;
        }
        Ok(found)
    }

    /// The digest that the manifest of snapshot `number` has in this one's history; `None` if the
    /// manifests between are not all kept, or there was no such snapshot.
    pub fn digest_of(&self, number: u64) -> Result<Option<Digest>, TableError> {
        if number == self.manifest.snapshot {
            return Ok(Some(self.manifest.digest()));
        }
        if number == 0 || number > self.manifest.snapshot {
            return Ok(None);
        }
        let mut found = self.clone();
        // The one after it names it, so its own manifest need not be kept.
        while found.manifest.snapshot > number.saturating_add(1) {
            match found.previous()? {
                Some(previous) => found = previous,
                None => return Ok(None),
            }
        }
        Ok(found.manifest.previous)
    }

    /// The snapshot before this one, if it is kept.
    pub(super) fn previous(&self) -> Result<Option<Self>, TableError> {
        let Some(digest) = self.manifest.previous else {
            return Ok(None);
        };
        let snapshot = self.manifest.snapshot.saturating_sub(1);
        let path = snapshot_path(&self.dir, snapshot);
        let found =
            Self::read(&self.dir, &path, &self.manifest.owner, Some(&digest)).map_err(|error| {
                match error {
                    TableError::Manifest { why, .. } => TableError::Chain {
                        path: path.clone(),
                        why: why.to_string(),
                    },
                    other => other,
                }
            })?;
        match &found {
            Some(found)
                if found.manifest.snapshot != snapshot
                    || found.manifest.table != self.manifest.table =>
            {
                Err(TableError::Chain {
                    path,
                    why: "it is of another number or table".into(),
                })
            }
            _ => Ok(found),
        }
    }

    fn read(
        dir: &Path,
        path: &Path,
        owner: &PublicKey,
        digest: Option<&Digest>,
    ) -> Result<Option<Self>, TableError> {
        let Some(bytes) = read_manifest(path)? else {
            return Ok(None);
        };
        let manifest =
            VerifiedManifest::open(&bytes, owner, digest).map_err(|why| TableError::Manifest {
                path: path.into(),
                why,
            })?;
        Ok(Some(Self {
            dir: dir.into(),
            manifest,
            bytes,
        }))
    }

    /// A table whose manifest was just written.
    pub(super) fn written(dir: PathBuf, manifest: VerifiedManifest, bytes: Vec<u8>) -> Self {
        Self {
            dir,
            manifest,
            bytes,
        }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its manifest.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// The manifest's bytes, as they are on disk.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file of this path, as the manifest has it.
    pub fn file(&self, path: &str) -> Result<&ManifestFile, TableError> {
        let mut files = self.manifest.files.iter();
        files
            .find(|file| file.path == path)
            .ok_or_else(|| TableError::Unknown {
                table: self.manifest.table.clone(),
                what: format!("file `{path}`"),
            })
    }

    /// Opens one of its files with all keys that `kms` has.
    pub fn open_file(&self, file: &ManifestFile, kms: &dyn Kms) -> Result<SealedFile, TableError> {
        let keys = self.manifest.file_keys(file, kms, &mut |_| true)?;
        let stored = self
            .stored(file)
            .map_err(|error| self.file_error(file, error.into()))?;
        SealedFile::open(Arc::new(stored), self.manifest.file_spec(file, keys))
            .map_err(|why| self.file_error(file, why))
    }

    /// The stored bytes of one of its files: a regular file, not through a link.
    pub fn stored(&self, file: &ManifestFile) -> std::io::Result<LocalFile> {
        open_regular(&self.dir.join(&file.path)).and_then(LocalFile::new)
    }

    /// An error of one of its files.
    pub(super) fn file_error(
        &self,
        file: &ManifestFile,
        why: crate::sealed_file::LakeError,
    ) -> TableError {
        TableError::File {
            table: self.manifest.table.clone(),
            path: file.path.clone(),
            why: Box::new(why),
        }
    }
}

/// The numbers of the snapshots that are kept, sorted.
pub(super) fn kept(dir: &Path) -> Result<Vec<u64>, TableError> {
    let folder = dir.join(SNAPSHOTS_DIR);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TableError::io(&folder, &error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| TableError::io(&folder, &error))?
            .file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".json"))
            .and_then(|number| number.parse::<u64>().ok());
        numbers.extend(number.filter(|number| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
