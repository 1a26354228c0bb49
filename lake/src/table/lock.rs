//! One writer at a time: `flock` on `_sealed.lock`, which ends with the process that holds it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::LOCK_NAME;
use super::error::TableError;

/// How often a lock that somebody removes is made again before giving up.
const TRIES: usize = 8;

/// The right to write to a table.
pub(super) struct Lock {
    _file: File,
    path: PathBuf,
    /// Whether the file goes with the lock: made for a table that there is not yet.
    fleeting: bool,
}

impl Lock {
    /// Takes the lock, or fails at once if somebody has it.
    pub(super) fn take(dir: &Path) -> Result<Self, TableError> {
        let path = dir.join(LOCK_NAME);
        let failed = |error: &io::Error| TableError::io(&path, error);
        for _ in 0..TRIES {
            let (file, made) = open(&path).map_err(|error| failed(&error))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                    return Err(TableError::Locked { path });
                }
                Err(error) => return Err(failed(&error.into())),
            }
            // Whoever had it may have removed the file meanwhile.
            let held = file.metadata().map_err(|error| failed(&error))?;
            let named = fs::symlink_metadata(&path);
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                return Ok(Self {
                    _file: file,
                    path,
                    fleeting: made,
                });
            }
        }
        Err(TableError::Locked { path })
    }

    /// There is a table now, so the file stays.
    pub(super) fn stay(&mut self) {
        self.fleeting = false;
    }

    /// Whether no writer was here before.
    pub(super) fn is_first(&self) -> bool {
        self.fleeting
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.fleeting {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<(File, bool)> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(flags.cast_signed());
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Without `create`: a lock that is just being removed is made by the next try.
            match options.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => open_again(&options, path),
                other => other.map(|file| (file, false)),
            }
        }
        Err(error) => Err(error),
    }
}

fn open_again(options: &OpenOptions, path: &Path) -> io::Result<(File, bool)> {
    options
        .clone()
        .create(true)
        .truncate(false)
        .open(path)
        .map(|file| (file, false))
}
