//! What killed writers left: unfinished files, and data files that no snapshot names. Only files
//! whose names are such as writers give, and only under the lock.

use std::collections::BTreeSet;
use std::fs::{self, FileType};
use std::path::Path;

use super::error::TableError;
use super::files::remove_below;
use super::lock::Lock;
use super::open::{Table, kept};
use super::{LOCK_NAME, SNAPSHOTS_DIR};
use crate::manifest::FILE_NAME;
use crate::seal::UNFINISHED;

/// Deepest partition directory.
const MAX_DEPTH: usize = 64;

/// Removes leftovers. What cannot be removed stays; nobody reads it.
pub(super) fn sweep(dir: &Path, base: &Table) {
    remove_unfinished(dir);
    let Some(named) = named(dir, base) else {
        // A snapshot that cannot be read may name any file.
        return;
    };
    sweep_folder(dir, "", &named, 0);
}

/// Removes what a killed first seal left where there is no manifest. Data files that it did not
/// leave are those of a table whose manifest was lost: they stay, and nothing is sealed beside them.
pub(super) fn make_room(dir: &Path, lock: &mut Lock) -> Result<(), TableError> {
    let failed = |error: &std::io::Error| TableError::io(dir, error);
    if !lock.is_left_of_first().map_err(|error| failed(&error))?
        && has_part(dir, 0).map_err(|error| failed(&error))?
    {
        return Err(TableError::Exists { dir: dir.into() });
    }
    lock.mark_first().map_err(|error| failed(&error))?;
    remove_unfinished(dir);
    sweep_folder(dir, "", &BTreeSet::new(), 0);
    Ok(())
}

/// Whether a folder of data files holds one of ours.
fn has_part(folder: &Path, depth: usize) -> std::io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let name = name.to_string_lossy();
        if kind.is_file() && is_part(&name)
            || is_partition(&name, kind, depth) && has_part(&entry.path(), depth + 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether data files may be in a directory. Links are not followed.
fn is_partition(name: &str, kind: FileType, depth: usize) -> bool {
    kind.is_dir() && name.contains('=') && depth < MAX_DEPTH
}

/// The files of all snapshots; `None` if one of them cannot be read.
fn named(dir: &Path, base: &Table) -> Option<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    let mut left: BTreeSet<u64> = kept(dir).ok()?.into_iter().collect();
    let mut next = Some(base.clone());
    while let Some(table) = next {
        left.remove(&table.manifest().snapshot);
        named.extend(table.manifest().files.iter().map(|file| file.path.clone()));
        next = table.previous().ok()?;
    }
    left.is_empty().then_some(named)
}

/// Sweeps a folder of data files, `prefix` from the table's directory `dir`, and tells whether it is
/// empty now and was not.
fn sweep_folder(dir: &Path, prefix: &str, named: &BTreeSet<String>, depth: usize) -> bool {
    let folder = dir.join(prefix);
    if !prefix.is_empty() && is_table(&folder) {
        return false;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    // In one order on every file system.
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    let (mut left, mut removed) = (0_usize, 0_usize);
    for entry in entries {
        let gone = entry.file_name().to_str().is_some_and(|name| {
            let path = format!("{prefix}{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_file() && (is_unfinished(name) || is_part(name)) => {
                    !named.contains(&path) && remove_below(dir, &path).is_ok()
                }
                Ok(kind) if is_partition(name, kind, depth) => {
                    sweep_folder(dir, &format!("{path}/"), named, depth + 1)
                        && fs::remove_dir(entry.path()).is_ok()
                }
                _ => false,
            }
        });
        if gone {
            removed += 1;
        } else {
            left += 1;
        }
    }
    left == 0 && removed > 0
}

/// Whether a directory is a table of its own, or one is being made there.
fn is_table(folder: &Path) -> bool {
    [FILE_NAME, LOCK_NAME, SNAPSHOTS_DIR]
        .iter()
        .any(|name| folder.join(name).symlink_metadata().is_ok())
}

/// Removes manifests of older snapshots that are not whole.
fn remove_unfinished(dir: &Path) {
    let folder = dir.join(SNAPSHOTS_DIR);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Some(name) = entry
            .file_name()
            .to_str()
            .filter(|name| is_unfinished(name))
        {
            let _ = remove_below(dir, &format!("{SNAPSHOTS_DIR}/{name}"));
        }
    }
}

/// `.NAME.sealing`.
fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(UNFINISHED)
}

/// `part-00000-0123abcd.parquet`.
fn is_part(name: &str) -> bool {
    let inner = name
        .strip_prefix("part-")
        .and_then(|name| name.strip_suffix(".parquet"));
    inner
        .and_then(|inner| inner.split_once('-'))
        .is_some_and(|(number, id)| {
            number.len() >= 5
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && id.len() == 8
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::{is_part, is_unfinished};

    #[test]
    fn names_of_ours() {
        assert!(is_part("part-00000-0123abcd.parquet"));
        assert!(is_part("part-123456-ffffffff.parquet"));
        for other in [
            "part-0000-0123abcd.parquet",
            "part-00000-0123abc.parquet",
            "part-00000-0123ABCD.parquet",
            "part-00000-0123abcd.parquet.bak",
            "part-00000.parquet",
            "xpart-00000-0123abcd.parquet",
            "part-0000a-0123abcd.parquet",
        ] {
            assert!(!is_part(other), "{other}");
        }
        assert!(is_unfinished(".part-00000-0123abcd.parquet.sealing"));
        assert!(is_unfinished("._sealed.json.sealing"));
        assert!(!is_unfinished("x.sealing"));
        assert!(!is_unfinished(".x"));
    }
}
