//! Platforms on disk: made once per directory, readable by their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::random_bytes;
use zeroize::Zeroizing;

use super::SimulatorError;

const LOCK: &str = ".lock";
/// Bytes that any of the files may have.
const MAX_FILE: u64 = 64 * 1024;

/// Makes the directory and keeps other processes from writing to it until the result is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, SimulatorError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| SimulatorError::io(dir, e))?;
    let path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| SimulatorError::io(&path, e))?;
    lock.lock().map_err(|e| SimulatorError::io(&path, e))?;
    Ok(lock)
}

/// Writes a platform's files unless all of them are there. The last one is the key without which
/// the others are of no use: it goes first and comes last, so that old and new are never mixed.
pub(super) fn write_once<const N: usize>(
    dir: &Path,
    names: [&str; N],
    make: impl FnOnce() -> Result<[Zeroizing<Vec<u8>>; N], SimulatorError>,
) -> Result<(), SimulatorError> {
    if names.iter().all(|name| dir.join(name).exists()) {
        return Ok(());
    }
    let made = make()?;
    if let Some(key) = names.last() {
        remove(&dir.join(key))?;
    }
    for (name, bytes) in names.iter().zip(&made) {
        write(dir, name, bytes)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), SimulatorError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(SimulatorError::io(path, e)),
        _ => Ok(()),
    }
}

/// A new file under another name, then renamed: half a file is never seen.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SimulatorError> {
    let mut random = [0; 8];
    random_bytes(&mut random)?;
    let temporary = dir.join(format!(".{name}.{}", hex::encode(random)));
    let written =
        write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, dir.join(name)));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        SimulatorError::io(&temporary, e)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file of a platform.
pub(super) fn read(dir: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, SimulatorError> {
    let path = dir.join(name);
    let failed = |path: &PathBuf, e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => SimulatorError::Missing(dir.to_owned()),
        _ => SimulatorError::io(path, e),
    };
    let link = fs::symlink_metadata(&path).map_err(|e| failed(&path, e))?;
    if !link.is_file() {
        return Err(SimulatorError::Permissions(path));
    }
    let file = File::open(&path).map_err(|e| failed(&path, e))?;
    let metadata = file.metadata().map_err(|e| failed(&path, e))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(SimulatorError::Permissions(path));
    }
    if metadata.len() > MAX_FILE {
        return Err(SimulatorError::Damaged(path));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&path, e))?;
    Ok(bytes)
}
