//! One writer at a time: `flock` on `_sealed.lock`, which ends with the process that holds it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::LOCK_NAME;
use super::error::TableError;

/// How often a lock that somebody removes is made again before giving up.
const TRIES: usize = 8;

/// Content of the lock's file while a table's first files are written: until its first manifest is
/// there, data files beside it are those of a seal that did not end.
const FIRST: &[u8] = b"first\n";

/// The right to write to a table.
pub(super) struct Lock {
    file: File,
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
                    file,
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
        // Where this fails the next writer does it.
        let _ = self.file.set_len(0);
    }

    /// Whether a first seal was here that did not end.
    pub(super) fn is_left_of_first(&self) -> io::Result<bool> {
        let mut content = [0; FIRST.len() + 1];
        let length = self.file.read_at(&mut content, 0)?;
        Ok(content.get(..length) == Some(FIRST))
    }

    /// Says that a first seal is at work, durably. Until [`Lock::stay`] the file goes with the lock.
    pub(super) fn mark_first(&mut self) -> io::Result<()> {
        self.fleeting = true;
        // A mark that is there stands for files that are there: it never goes, not for a moment.
        if !self.is_left_of_first()? {
            self.file.set_len(0)?;
            self.file.write_all_at(FIRST, 0)?;
        }
        self.file.sync_all()
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
