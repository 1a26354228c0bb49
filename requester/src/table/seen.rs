//! The newest snapshot seen of every table, kept: whoever stores a table must not be able to bring
//! an older one, or another one of the same number, or a later one that does not come from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duckblind_lake::keys::FileLock;
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::table::Table;
use duckblind_protocol::ids::{Digest, PublicKey};
use serde::{Deserialize, Serialize};

use super::InputError;
use crate::files::{self, FileError};

/// Tables that one file can tell of.
const MAX_TABLES: usize = 10_000;

/// What was seen, by owner and table, in a file.
pub struct SeenSnapshots {
    path: PathBuf,
    seen: BTreeMap<String, Seen>,
}

/// The newest snapshot of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    snapshot: u64,
    manifest: Digest,
}

/// How a table that was not refused goes on from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// It was never seen, or its history holds the snapshot that was.
    Whole,
    /// Manifests between are not kept any more, so nothing shows that it comes from this snapshot.
    Gap {
        /// The newest snapshot seen.
        seen: u64,
    },
}

impl SeenSnapshots {
    /// Reads the file; one that is not there yet is empty, one that does not parse is an error.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        Ok(Self {
            path: path.into(),
            seen: read(path)?,
        })
    }

    /// Refuses a table's current state if it is older than one seen before, another one of the same
    /// number, or one whose history has another one of that number.
    pub fn check(&self, table: &Table) -> Result<Continuity, InputError> {
        let manifest = table.manifest();
        let Some(seen) = self.seen.get(&name(&manifest.owner, &manifest.table)) else {
            return Ok(Continuity::Whole);
        };
        if manifest.snapshot < seen.snapshot {
            return Err(InputError::Rollback {
                table: manifest.table.clone(),
                seen: seen.snapshot,
                got: manifest.snapshot,
            });
        }
        match table.digest_of(seen.snapshot)? {
            Some(digest) if digest == seen.manifest => Ok(Continuity::Whole),
            Some(digest) => Err(seen.fork(manifest, digest)),
            None => Ok(Continuity::Gap {
                seen: seen.snapshot,
            }),
        }
    }

    /// Refuses to start a table under a name that this owner has, or had, a table of.
    pub fn check_new(&self, owner: &PublicKey, table: &str) -> Result<(), InputError> {
        match self.seen.get(&name(owner, table)) {
            None => Ok(()),
            Some(seen) => Err(InputError::Known {
                table: table.into(),
                seen: seen.snapshot,
            }),
        }
    }

    /// Keeps a snapshot that was checked, if it is newer than what is kept by now. One that another
    /// process brought further meanwhile stays: the next look at the table checks that.
    pub fn raise(&mut self, manifest: &VerifiedManifest) -> Result<(), InputError> {
        self.change(|seen| {
            let known = seen.get(&name(&manifest.owner, &manifest.table));
            match known {
                Some(known) if known.snapshot > manifest.snapshot => Ok(false),
                Some(known) if known.snapshot == manifest.snapshot => {
                    if known.manifest == manifest.digest() {
                        Ok(false)
                    } else {
                        Err(known.fork(manifest, manifest.digest()))
                    }
                }
                _ => Ok(put(seen, manifest)),
            }
        })
    }

    /// Keeps the first snapshot of a table that was just made.
    pub fn begin(&mut self, manifest: &VerifiedManifest) -> Result<(), InputError> {
        self.change(
            |seen| match seen.get(&name(&manifest.owner, &manifest.table)) {
                Some(known) if known.manifest != manifest.digest() => Err(InputError::Known {
                    table: manifest.table.clone(),
                    seen: known.snapshot,
                }),
                Some(_) => Ok(false),
                None => Ok(put(seen, manifest)),
            },
        )
    }

    /// Keeps this snapshot, whatever was seen before: its owner said so.
    pub fn replace(&mut self, manifest: &VerifiedManifest) -> Result<(), InputError> {
        self.change(|seen| Ok(put(seen, manifest)))
    }

    /// Changes what the file holds now, and nobody else does meanwhile. Written if `change` says so.
    fn change(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<String, Seen>) -> Result<bool, InputError>,
    ) -> Result<(), InputError> {
        files::create_parent(&self.path)?;
        let _lock = FileLock::take(&self.path).map_err(FileError::write(&self.path))?;
        self.seen = read(&self.path)?;
        if !change(&mut self.seen)? {
            return Ok(());
        }
        if self.seen.len() > MAX_TABLES {
            return Err(FileError::TooLarge {
                path: self.path.clone(),
                cap: files::MAX_TEXT,
            }
            .into());
        }
        let text = serde_json::to_string_pretty(&self.seen)
            .map_err(|e| FileError::write(&self.path)(std::io::Error::other(e)))?;
        files::replace(&self.path, 0o600, format!("{text}\n").as_bytes())?;
        Ok(())
    }
}

impl Seen {
    fn fork(&self, manifest: &VerifiedManifest, got: Digest) -> InputError {
        InputError::Fork {
            table: manifest.table.clone(),
            snapshot: self.snapshot,
            seen: self.manifest,
            got,
        }
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Seen>, FileError> {
    files::read_json_or_default(path, "snapshots of tables")
}

/// Whether that is something new.
fn put(seen: &mut BTreeMap<String, Seen>, manifest: &VerifiedManifest) -> bool {
    let now = Seen {
        snapshot: manifest.snapshot,
        manifest: manifest.digest(),
    };
    let key = name(&manifest.owner, &manifest.table);
    if seen.get(&key) == Some(&now) {
        return false;
    }
    seen.insert(key, now);
    true
}

/// Two owners may each have a table of one name.
fn name(owner: &PublicKey, table: &str) -> String {
    format!("{owner}/{table}")
}
