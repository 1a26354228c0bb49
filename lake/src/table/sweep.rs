//! What killed writers left: unfinished files, and data files that no snapshot names. Only files
//! whose names are such as writers give, and only under the lock.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::SNAPSHOTS_DIR;
use super::open::{Table, kept};
use crate::seal::UNFINISHED;

/// Deepest partition directory.
const MAX_DEPTH: usize = 64;

/// Removes leftovers. What cannot be removed stays; nobody reads it.
pub(super) fn sweep(dir: &Path, base: Option<&Table>) {
    remove_unfinished(&dir.join(SNAPSHOTS_DIR));
    let Some(named) = named(dir, base) else {
        // A snapshot that cannot be read may name any file.
        return;
    };
    sweep_folder(dir, "", &named, 0);
}

/// The files of all snapshots; `None` if one of them cannot be read.
fn named(dir: &Path, base: Option<&Table>) -> Option<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    let mut left: BTreeSet<u64> = kept(dir).ok()?.into_iter().collect();
    let mut next = base.cloned();
    while let Some(table) = next {
        left.remove(&table.manifest().snapshot);
        named.extend(table.manifest().files.iter().map(|file| file.path.clone()));
        next = table.previous().ok()?;
    }
    left.is_empty().then_some(named)
}

/// Sweeps a folder of data files, `prefix` from the table's directory, and tells whether it is
/// empty now and was not.
fn sweep_folder(folder: &Path, prefix: &str, named: &BTreeSet<String>, depth: usize) -> bool {
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
                    !named.contains(&path) && fs::remove_file(entry.path()).is_ok()
                }
                Ok(kind) if kind.is_dir() && name.contains('=') && depth < MAX_DEPTH => {
                    sweep_folder(&entry.path(), &format!("{path}/"), named, depth + 1)
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

fn remove_unfinished(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_str().is_some_and(is_unfinished) {
            let _ = fs::remove_file(entry.path());
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
