//! Small files: read with a cap, secrets with their mode checked, state renamed into place.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::HostError;

/// Reads a file of at most `cap` bytes; `what` names it in the error.
pub fn read_small(path: &Path, what: &'static str, cap: u64) -> Result<Vec<u8>, HostError> {
    let unreadable = |source| HostError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    read_capped(&file, cap, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Reads a secret: a regular file of this process's user, no symbolic link, closed to group and
/// others. All is judged on the descriptor that is read from.
pub fn read_secret(path: &Path, what: &'static str) -> Result<Zeroizing<Vec<u8>>, HostError> {
    const CAP: u64 = 4096;
    let unreadable = |source| HostError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    };
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HostError::KeyMode {
            path: path.to_owned(),
            mode,
        });
    }
    of_user(path, meta.uid(), rustix::process::geteuid().as_raw())?;
    // Room from the start: a growing buffer would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(CAP).unwrap_or(4096) + 1));
    read_capped(&file, CAP, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn of_user(path: &Path, owner: u32, user: u32) -> Result<(), HostError> {
    if owner == user {
        return Ok(());
    }
    Err(HostError::KeyOwner {
        path: path.to_owned(),
        owner,
        user,
    })
}

fn read_capped(file: &File, cap: u64, into: &mut Vec<u8>) -> io::Result<()> {
    file.take(cap + 1).read_to_end(into)?;
    if into.len() as u64 > cap {
        return Err(io::Error::other(format!("it is larger than {cap} bytes")));
    }
    Ok(())
}

/// Writes a new file with `mode`; refuses one that exists.
pub fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), HostError> {
    let unwritable = |source| HostError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(unwritable)?;
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(unwritable)?;
    file.write_all(bytes).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)
}

/// Replaces a file in one step: whoever reads it sees the old or the new one, never half of it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let unwritable = |source| HostError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(name);
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|source| {
            let _ = std::fs::remove_file(&part);
            unwritable(source)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn an_open_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        write_new(&path, 0o640, b"x").unwrap();
        let error = read_secret(&path, "the key").expect_err("group can read it");
        assert_eq!(error.code(), "DB-HST-011");
        assert_eq!(error.got().unwrap(), "mode 0640");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret(&path, "the key").unwrap().as_slice(), b"x");
    }

    #[test]
    fn a_link_to_a_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("k"), dir.path().join("l"));
        write_new(&path, 0o600, b"x").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_secret(&link, "the key").is_err());
        assert!(read_secret(dir.path(), "the key").is_err());
    }

    #[test]
    fn a_secret_of_another_user_is_refused() {
        let path = Path::new("k");
        assert!(of_user(path, 5, 5).is_ok());
        let error = of_user(path, 6, 5).expect_err("another's");
        assert_eq!(
            (error.code(), error.got().unwrap().as_str()),
            ("DB-HST-013", "user 6")
        );
    }

    #[test]
    fn neither_a_pipe_nor_a_large_file_is_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, large) = (dir.path().join("p"), dir.path().join("l"));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        assert!(read_secret(&pipe, "the key").is_err());
        write_new(&large, 0o600, &[b'x'; 4097]).unwrap();
        assert!(read_secret(&large, "the key").is_err());
    }

    #[test]
    fn caps_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [0; 11]).unwrap();
        assert!(read_small(&path, "it", 10).is_err());
        assert_eq!(read_small(&path, "it", 11).unwrap().len(), 11);
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_new(&path, 0o600, b"one").unwrap();
        assert!(write_new(&path, 0o600, b"two").is_err());
        replace(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
