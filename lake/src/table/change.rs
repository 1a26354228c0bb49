//! From one snapshot to the next.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::Digest;

use super::error::TableError;
use super::files::{Unnamed, keep_manifest, read_manifest, sync_dir};
use super::lock::Lock;
use super::open::{At, Table, snapshot_path};
use super::sweep::{make_room, sweep};
use crate::keys::OwnerKey;
use crate::manifest::{FILE_NAME, Manifest, VerifiedManifest};
use crate::seal::Workspace;

/// What a change starts from: a directory with whatever it holds, or a table as it was read, which
/// must still be the same.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    dir: &'a Path,
    manifest: Option<Digest>,
}

impl<'a> From<&'a Path> for Start<'a> {
    fn from(dir: &'a Path) -> Self {
        Self {
            dir,
            manifest: None,
        }
    }
}

impl<'a> From<&'a PathBuf> for Start<'a> {
    fn from(dir: &'a PathBuf) -> Self {
        dir.as_path().into()
    }
}

impl<'a> From<&'a Table> for Start<'a> {
    fn from(table: &'a Table) -> Self {
        Self {
            dir: table.dir(),
            manifest: Some(table.manifest().digest()),
        }
    }
}

const LAST_SNAPSHOT: TableError = TableError::Nothing {
    why: "the table has its last snapshot",
};

/// A table that is being changed, or made. Holds its lock. Dropped before [`Change::commit`], all
/// files that were added are removed.
pub struct Change<'a> {
    dir: PathBuf,
    owner: &'a OwnerKey,
    base: Option<Table>,
    // In this order: the lock's file goes before the directory that was made for it.
    lock: Lock,
    workspace: Workspace,
}

impl<'a> Change<'a> {
    /// Starts a table in a directory that has none, and is made if it is not there. Data files that
    /// an earlier try left are removed.
    pub fn create(dir: &Path, owner: &'a OwnerKey) -> Result<Self, TableError> {
        let mut change = Self::adopt(dir, owner)?;
        make_room(dir, &mut change.lock)?;
        Ok(change)
    }

    /// Starts a table of files that are there already: nothing is taken for a leftover.
    pub(super) fn adopt(dir: &Path, owner: &'a OwnerKey) -> Result<Self, TableError> {
        let workspace = Workspace::open(dir)?;
        let lock = Lock::take(dir)?;
        let path = dir.join(FILE_NAME);
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(TableError::Exists { dir: dir.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(TableError::io(&path, &error)),
        }
        // A table whose manifest was lost is not written over.
        if !super::open::kept(dir)?.is_empty() {
            return Err(TableError::Exists { dir: dir.into() });
        }
        Ok(Self {
            dir: dir.into(),
            owner,
            base: None,
            lock,
            workspace,
        })
    }

    /// Starts from a table's current snapshot, after removing what killed writers left.
    pub fn begin<'s>(start: impl Into<Start<'s>>, owner: &'a OwnerKey) -> Result<Self, TableError> {
        let Start { dir, manifest } = start.into();
        // Before the lock, which would be made in any directory.
        Table::open(dir, &owner.public(), At::Current)?;
        let mut lock = Lock::take(dir)?;
        lock.stay();
        let base = Table::open(dir, &owner.public(), At::Current)?;
        if manifest.is_some_and(|read| read != base.manifest().digest()) {
            return Err(TableError::Changed { dir: dir.into() });
        }
        sweep(dir, &base);
        Ok(Self {
            dir: dir.into(),
            owner,
            base: Some(base),
            lock,
            workspace: Workspace::open(dir)?,
        })
    }

    /// The snapshot it starts from; none of a new table.
    pub fn base(&self) -> Option<&Table> {
        self.base.as_ref()
    }

    /// The snapshot it starts from, and the place for new files.
    pub(super) fn parts(&mut self) -> Result<(&Table, &mut Workspace), TableError> {
        match &self.base {
            Some(base) => Ok((base, &mut self.workspace)),
            None => Err(TableError::Missing {
                dir: self.dir.clone(),
            }),
        }
    }

    /// Where new data files are written.
    pub fn workspace(&mut self) -> &mut Workspace {
        &mut self.workspace
    }

    /// Signs the manifest and makes it the table's current one. Number, predecessor and owner are
    /// set here. If this fails the table is the old one; the one exception, a directory that cannot
    /// be synced at the very end, leaves the new one.
    pub fn commit(self, mut next: Manifest) -> Result<Table, TableError> {
        let Self {
            dir,
            owner,
            base,
            mut lock,
            mut workspace,
        } = self;
        let path = dir.join(FILE_NAME);
        let signed = |why| TableError::Manifest {
            path: path.clone(),
            why,
        };
        next.owner = owner.public();
        next.previous = base.as_ref().map(|base| base.manifest().digest());
        next.snapshot = match &base {
            None => 1,
            Some(base) => base
                .manifest()
                .snapshot
                .checked_add(1)
                .ok_or(LAST_SNAPSHOT)?,
        };
        let bytes = next.sign(owner).map_err(signed)?;
        let manifest = VerifiedManifest::open(&bytes, &owner.public(), None).map_err(signed)?;
        workspace.sync()?;
        let unnamed = Unnamed::write(&path, &bytes)?;
        match &base {
            None => unnamed.add(&path)?,
            Some(base) => {
                let old = base.manifest_bytes();
                if read_manifest(&path)?.as_deref() != Some(old) {
                    return Err(TableError::Changed { dir });
                }
                let kept_as = snapshot_path(&dir, base.manifest().snapshot);
                keep_manifest(&dir, old, &kept_as)?;
                unnamed.replace(&path)?;
            }
        }
        lock.stay();
        workspace.keep();
        sync_dir(&dir)?;
        Ok(Table::written(dir, manifest, bytes))
    }
}
