//! Small files of a table's directory, written so that a name is only ever seen with its content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

use super::error::TableError;
use crate::manifest::{FILE_NAME, MAX_MANIFEST};

/// Reads a manifest, however large it may be; `None` where there is none.
pub(super) fn read_manifest(path: &Path) -> Result<Option<Vec<u8>>, TableError> {
    match read(path, MAX_MANIFEST as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TableError::io(path, &error)),
    }
}

/// Opens a regular file, not through a link, and waits for nobody.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Removes the file `path` below `dir`, through no link.
pub(super) fn remove_below(dir: &Path, path: &str) -> io::Result<()> {
    let mut folder = File::open(dir)?;
    let (folders, name) = match path.rsplit_once('/') {
        Some((folders, name)) => (Some(folders), name),
        None => (None, path),
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
        if part == ".." {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        folder = openat(&folder, part, flags, Mode::empty())?.into();
    }
    Ok(unlinkat(&folder, name, AtFlags::empty())?)
}

/// Reads a regular file of at most `max` bytes.
fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// A file that is written and synced, but not named yet. Dropped, it is removed.
pub(super) struct Unnamed(PathBuf);

impl Unnamed {
    /// Writes what will be called `path`.
    pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<Self, TableError> {
        let temporary = temporary(path);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
        let unnamed = Self(temporary);
        match written {
            Ok(()) => Ok(unnamed),
            Err(error) => Err(TableError::io(&unnamed.0, &error)),
        }
    }

    /// Gives it its name, in place of what has the name now.
    pub(super) fn replace(self, path: &Path) -> Result<(), TableError> {
        fs::rename(&self.0, path).map_err(|error| TableError::io(path, &error))
    }

    /// Gives it its name, which nothing may have.
    pub(super) fn add(self, path: &Path) -> Result<(), TableError> {
        let linked = match fs::hard_link(&self.0, path) {
            Err(error) if no_links(&error) && !path.exists() => fs::rename(&self.0, path),
            other => other,
        };
        linked.map_err(|error| TableError::io(path, &error))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What a file is called before it has its name.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{}", crate::seal::UNFINISHED))
}

/// Lets the manifest of `dir`, whose bytes are `bytes`, be found as `path`, too; durable.
pub(super) fn keep_manifest(dir: &Path, bytes: &[u8], path: &Path) -> Result<(), TableError> {
    let folder = path.parent().unwrap_or(dir);
    match fs::create_dir(folder) {
        Ok(()) => sync_dir(dir)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(TableError::io(folder, &error)),
    }
    match fs::hard_link(dir.join(FILE_NAME), path) {
        Ok(()) => {}
        // A writer that was killed kept it already.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if no_links(&error) => Unnamed::write(path, bytes)?.add(path)?,
        Err(error) => return Err(TableError::io(path, &error)),
    }
    if read_manifest(path)?.as_deref() != Some(bytes) {
        return Err(TableError::Changed { dir: dir.into() });
    }
    sync_dir(folder)
}

fn no_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::TooManyLinks
    )
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), TableError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| TableError::io(dir, &error))
}
