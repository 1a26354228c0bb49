//! Older snapshots: which there are, and an end to them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use duckblind_protocol::ids::{Digest, PublicKey};

use super::SNAPSHOTS_DIR;
use super::change::{Change, Start};
use super::error::TableError;
use super::files::{remove_below, sync_dir};
use super::open::{At, Table, kept, snapshot_path};
use crate::keys::OwnerKey;

/// One snapshot, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its manifest.
    pub digest: Digest,
    /// How many files it has.
    pub files: usize,
    /// Stored bytes of all of them.
    pub bytes: u64,
    /// The version of the keys that its data keys are wrapped under.
    pub key_version: u32,
}

/// All snapshots that can be read, the newest first. A kept manifest that is not the one of the
/// table's history is an error.
pub fn snapshots(dir: &Path, owner: &PublicKey) -> Result<Vec<Snapshot>, TableError> {
    let mut found = Vec::new();
    let mut next = Some(Table::open(dir, owner, At::Current)?);
    while let Some(table) = next {
        let manifest = table.manifest();
        found.push(Snapshot {
            number: manifest.snapshot,
            digest: manifest.digest(),
            files: manifest.files.len(),
            bytes: manifest
                .files
                .iter()
                .fold(0, |sum, file| file.size.saturating_add(sum)),
            key_version: manifest.key_version(),
        });
        next = table.previous()?;
    }
    Ok(found)
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots.
    pub snapshots: usize,
    /// Data files that only they named.
    pub files: usize,
    /// Stored bytes of these files.
    pub bytes: u64,
}

/// Removes all but the newest `keep` snapshots, and the files that only removed ones name. The
/// current one always stays.
pub fn expire<'a>(
    start: impl Into<Start<'a>>,
    owner: &OwnerKey,
    keep: u64,
) -> Result<Expired, TableError> {
    let change = Change::begin(start, owner)?;
    let Some(current) = change.base() else {
        return Ok(Expired::default());
    };
    let dir = current.dir();
    let newest = current.manifest().snapshot;
    let first_kept = newest.saturating_sub(keep.max(1) - 1);
    let mut named = BTreeSet::new();
    let mut doomed = BTreeSet::new();
    let mut next = Some(current.clone());
    while let Some(table) = next {
        let files = table.manifest().files.iter();
        if table.manifest().snapshot >= first_kept {
            named.extend(files.map(|file| file.path.clone()));
        } else {
            doomed.extend(files.map(|file| (file.path.clone(), file.size)));
        }
        next = table.previous()?;
    }
    let mut expired = Expired::default();
    // Manifests first, the oldest first: what is left is a history without holes, and files that
    // no snapshot names are leftovers.
    for number in kept(dir)? {
        if number < first_kept {
            let path = snapshot_path(dir, number);
            remove_below(dir, &format!("{SNAPSHOTS_DIR}/{number}.json"))
                .map_err(|error| TableError::io(&path, &error))?;
            expired.snapshots += 1;
        }
    }
    if expired.snapshots > 0 {
        sync_dir(&dir.join(SNAPSHOTS_DIR))?;
    }
    for (file, size) in doomed {
        if named.contains(&file) {
            continue;
        }
        let path = dir.join(&file);
        match remove_below(dir, &file) {
            Ok(()) => {
                expired.files += 1;
                expired.bytes = expired.bytes.saturating_add(size);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(TableError::io(&path, &error)),
        }
    }
    Ok(expired)
}
