//! The newest snapshot seen of every table, kept: whoever stores a table must not be able to bring
//! an older one, or another one of the same number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duckblind_lake::manifest::VerifiedManifest;
use duckblind_protocol::ids::Digest;
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

impl SeenSnapshots {
    /// Reads the file; one that is not there yet is empty, one that does not parse is an error.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let seen = match files::read_text(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| FileError::Contents {
                path: path.into(),
                wanted: "snapshots of tables",
            })?,
            Err(FileError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                BTreeMap::new()
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.into(),
            seen,
        })
    }

    /// Refuses a manifest older than one seen before, and another one of the same number.
    pub fn check(&self, manifest: &VerifiedManifest) -> Result<(), InputError> {
        let Some(seen) = self.seen.get(&name(manifest)) else {
            return Ok(());
        };
        let (table, got) = (manifest.table.clone(), manifest.snapshot);
        if got < seen.snapshot {
            return Err(InputError::Rollback {
                table,
                seen: seen.snapshot,
                got,
            });
        }
        if got == seen.snapshot && manifest.digest() != seen.manifest {
            return Err(InputError::Fork {
                table,
                snapshot: got,
                seen: seen.manifest,
                got: manifest.digest(),
            });
        }
        Ok(())
    }

    /// Keeps a snapshot that was checked, if it is newer. Two processes at once may lose a rise
    /// that the next look at the table makes again.
    pub fn raise(&mut self, manifest: &VerifiedManifest) -> Result<(), FileError> {
        let known = self.seen.get(&name(manifest));
        if known.is_some_and(|seen| seen.snapshot >= manifest.snapshot) {
            return Ok(());
        }
        self.replace(manifest)
    }

    /// Keeps this snapshot, whatever was seen before: its owner made it just now, or said so.
    pub fn replace(&mut self, manifest: &VerifiedManifest) -> Result<(), FileError> {
        let now = Seen {
            snapshot: manifest.snapshot,
            manifest: manifest.digest(),
        };
        if self.seen.get(&name(manifest)) == Some(&now) {
            return Ok(());
        }
        self.seen.insert(name(manifest), now);
        if self.seen.len() > MAX_TABLES {
            return Err(FileError::TooLarge {
                path: self.path.clone(),
                cap: files::MAX_TEXT,
            });
        }
        let text = serde_json::to_string_pretty(&self.seen)
            .map_err(|e| FileError::write(&self.path)(std::io::Error::other(e)))?;
        files::replace(&self.path, 0o600, format!("{text}\n").as_bytes())
    }
}

/// Two owners may each have a table of one name.
fn name(manifest: &VerifiedManifest) -> String {
    format!("{}/{}", manifest.owner, manifest.table)
}
