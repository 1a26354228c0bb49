//! Files that only their owner may read: opened without following links, judged by descriptor.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::KeyError;

/// Largest key file, in bytes.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Reads a private file. Refused: a link, anything but a regular file, another owner than the
/// caller, any permission for group or others, more than [`MAX_KEY_FILE`] bytes.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(|error| {
            if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
                mode(path, "it is a symbolic link".into())
            } else {
                io(path, &error)
            }
        })?;
    let about = file.metadata().map_err(|error| io(path, &error))?;
    if !about.is_file() {
        return Err(mode(path, "it is not a regular file".into()));
    }
    judge(path, &about)?;
    if about.len() > MAX_KEY_FILE {
        return Err(too_large(path));
    }
    // Full size at once: a vector that grows leaves copies behind.
    let size = usize::try_from(about.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(vec![0; size]);
    (&file)
        .read_exact(&mut bytes)
        .map_err(|error| io(path, &error))?;
    Ok(bytes)
}

/// Reads what an open descriptor gives, to its end. A file that can be opened by its name, too,
/// must be as private as one that is.
pub(super) fn read_open(name: &Path, mut file: File) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let about = file.metadata().map_err(|error| io(name, &error))?;
    if about.is_file() && about.nlink() > 0 {
        judge(name, &about)?;
    }
    let room = usize::try_from(MAX_KEY_FILE).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(name, &error)),
        }
    }
    if length == room {
        return Err(too_large(name));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn judge(path: &Path, about: &fs::Metadata) -> Result<(), KeyError> {
    if about.mode() & 0o077 != 0 {
        return Err(mode(
            path,
            format!("its mode is {:04o}", about.mode() & 0o7777),
        ));
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(mode(path, "it belongs to another user".into()));
    }
    Ok(())
}

fn too_large(path: &Path) -> KeyError {
    KeyError::Form {
        path: path.into(),
        why: "it is too large",
    }
}

/// Writes a private file whole or not at all. Without `replace`, a file that is there stays.
pub(super) fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), KeyError> {
    make_folder(path)?;
    let temporary = temporary_beside(path)?;
    let written = write_new(&temporary, bytes).and_then(|()| {
        if replace {
            fs::rename(&temporary, path)
        } else {
            // `link` fails where a name exists; `rename` would replace it.
            fs::hard_link(&temporary, path)
        }
    });
    if written.is_err() || !replace {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| io(path, &error))?;
    File::open(folder(path).unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io(path, &error))
}

/// Makes the directory that `path` is in.
pub(super) fn make_folder(path: &Path) -> Result<(), KeyError> {
    match folder(path) {
        Some(folder) => fs::create_dir_all(folder).map_err(|error| io(folder, &error)),
        None => Ok(()),
    }
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn temporary_beside(path: &Path) -> Result<PathBuf, KeyError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Randomness)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", hex::encode(random)));
    Ok(path.with_file_name(name))
}

fn io(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::Io {
        path: path.into(),
        kind: error.kind(),
    }
}

fn mode(path: &Path, why: String) -> KeyError {
    KeyError::Mode {
        path: path.into(),
        why,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn wrong_modes_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, b"secret", false).unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o660, 0o777, 0o610, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(read(&path), Err(KeyError::Mode { .. })),
                "{mode:o}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(read(&link), Err(KeyError::Mode { .. })));
        assert!(matches!(read(dir.path()), Err(KeyError::Mode { .. })));
        assert!(matches!(
            read(&dir.path().join("none")),
            Err(KeyError::Io { .. })
        ));
    }

    #[test]
    fn nothing_is_overwritten_unasked_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/key");
        write(&path, b"one", false).unwrap();
        assert!(write(&path, b"two", false).is_err());
        assert_eq!(read(&path).unwrap().as_slice(), b"one");
        write(&path, b"three", true).unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"three");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
