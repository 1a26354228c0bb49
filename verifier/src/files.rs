//! Files: secret ones that nobody else may read, and whole ones that are never seen half written.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::error::VerifierError;
use crate::token;

/// Cap of every file that is read whole: configuration, policies, keys, certificates.
pub const MAX_FILE: u64 = 1 << 20;

/// Reads a text file of at most [`MAX_FILE`] bytes.
pub fn read_text(path: &Path) -> Result<String, VerifierError> {
    let file = File::open(path).map_err(VerifierError::read(path))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(VerifierError::read(path))?;
    if text.len() as u64 > MAX_FILE {
        return Err(VerifierError::TooLarge {
            path: path.into(),
            cap: MAX_FILE,
        });
    }
    // Parsers quote what they cannot read: a secret must not get that far.
    if SECRETS
        .iter()
        .any(|prefix| text.trim_start().starts_with(prefix))
    {
        return Err(VerifierError::Misplaced(path.into()));
    }
    Ok(text)
}

/// What our own secret files start with.
const SECRETS: [&str; 2] = ["ed25519-secret:", token::PREFIX];

/// Cap of a secret file: a PEM key of 8192-bit RSA fits.
const MAX_SECRET: u64 = 16 << 10;

/// Reads a secret text file: a regular file of this process's user, not through a link, of nobody
/// else's reading. All is judged on the descriptor that is read from.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, VerifierError> {
    // Without NONBLOCK, opening a pipe would wait for its writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(VerifierError::read(path))?;
    let about = file.metadata().map_err(VerifierError::read(path))?;
    if !about.is_file() {
        let irregular = std::io::Error::other("not a regular file");
        return Err(VerifierError::read(path)(irregular));
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VerifierError::Permissions {
            path: path.into(),
            mode,
        });
    }
    of_user(path, about.uid(), rustix::process::geteuid().as_raw())?;
    // Room from the start: a growing buffer would leave copies of the secret behind.
    let room = usize::try_from(MAX_SECRET + 1).unwrap_or(16 << 10);
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_SECRET + 1)
        .read_to_string(&mut text)
        .map_err(VerifierError::read(path))?;
    if text.len() as u64 > MAX_SECRET {
        return Err(VerifierError::TooLarge {
            path: path.into(),
            cap: MAX_SECRET,
        });
    }
    Ok(text)
}

fn of_user(path: &Path, owner: u32, user: u32) -> Result<(), VerifierError> {
    if owner == user {
        return Ok(());
    }
    Err(VerifierError::Owner {
        path: path.into(),
        owner,
        user,
    })
}

/// Makes a new file with exactly these permissions; one that exists is an error.
pub fn create_new(path: &Path, mode: u32, contents: &[u8]) -> Result<(), VerifierError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|source| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                VerifierError::Exists(path.into())
            } else {
                VerifierError::write(path)(source)
            }
        })?;
    file.write_all(contents)
        .and_then(|()| file.sync_all())
        .map_err(VerifierError::write(path))
}

/// Makes the directory that a command's files go to.
pub fn create_dir(path: &Path) -> Result<(), VerifierError> {
    std::fs::create_dir_all(path).map_err(VerifierError::write(path))
}

/// A file that says that the service is up. Gone when this value is.
#[derive(Debug)]
pub struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Writes the file beside its place and renames it there.
    pub fn write(path: &Path, contents: &[u8]) -> Result<Self, VerifierError> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(name);
        create_new(&beside, 0o644, contents)?;
        std::fs::rename(&beside, path).map_err(VerifierError::write(path))?;
        Ok(Self(path.into()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Best effort: whoever waits for the file also sees the process end.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn secrets_of_others_eyes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        create_new(&open, 0o644, b"x").unwrap();
        assert_eq!(read_secret(&open).unwrap_err().code(), "DB-VER-004");
        let closed = dir.path().join("closed");
        create_new(&closed, 0o600, b"x").unwrap();
        assert_eq!(read_secret(&closed).unwrap().as_str(), "x");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&closed, &link).unwrap();
        assert_eq!(read_secret(&link).unwrap_err().code(), "DB-VER-001");
        assert_eq!(
            create_new(&closed, 0o600, b"y").unwrap_err().code(),
            "DB-VER-003"
        );
    }

    #[test]
    fn what_is_no_secret_file_of_ours_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(read_secret(&pipe).unwrap_err().code(), "DB-VER-001");
        let large = dir.path().join("large");
        let bytes = vec![b'x'; usize::try_from(MAX_SECRET).unwrap() + 1];
        create_new(&large, 0o600, &bytes).unwrap();
        assert_eq!(read_secret(&large).unwrap_err().code(), "DB-VER-005");
        assert!(of_user(&pipe, 5, 5).is_ok());
        let foreign = of_user(&pipe, 6, 5).unwrap_err();
        assert_eq!(foreign.code(), "DB-VER-019");
        assert_eq!(foreign.got().unwrap(), "user 6");
    }

    #[test]
    fn a_secret_is_not_read_as_anything_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        token::create(&path).unwrap();
        assert_eq!(read_text(&path).unwrap_err().code(), "DB-VER-018");
    }

    #[test]
    fn the_ready_file_goes_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let ready = ReadyFile::write(&path, b"{}").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        drop(ready);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
