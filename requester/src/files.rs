//! Files: read with a cap, secret ones only if nobody else may read them, written whole or not
//! at all.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use duckblind_protocol::coded::{Coded, Exit};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Cap of every file that is read whole: trust files, policies, certificates, SQL.
pub const MAX_TEXT: u64 = 1 << 20;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Missing or unreadable.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Cannot be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// In the way of a new file.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A directory, a device, a pipe, or a name that only a directory can have.
    #[error("{} cannot be the name of a file", .0.display())]
    NoFile(PathBuf),
    /// The directory to write in is missing.
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    /// A secret that others may read.
    #[error("{} may be read by others", path.display())]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Larger than such a file can be.
    #[error("{} is too large", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Bytes allowed.
        cap: u64,
    },
    /// Right name, wrong contents.
    #[error("{} is not {wanted}", path.display())]
    Contents {
        /// Which file.
        path: PathBuf,
        /// What it should have been.
        wanted: &'static str,
    },
}

impl FileError {
    /// For `map_err` on reading.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` on writing.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Write { path, source },
        }
    }
}

impl Coded for FileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "DB-REQ-001",
            Self::Write { .. } => "DB-REQ-002",
            Self::Exists(_) => "DB-REQ-003",
            Self::Permissions { .. } => "DB-REQ-004",
            Self::TooLarge { .. } => "DB-REQ-005",
            Self::Contents { .. } => "DB-REQ-006",
            Self::NoDirectory(_) => "DB-REQ-007",
            Self::NoFile(_) => "DB-REQ-008",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::TooLarge { .. } | Self::Contents { .. } => Exit::Malformed,
            Self::Permissions { .. } => Exit::Rejected,
            _ => Exit::Usage,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Permissions { .. } => Some("mode 0600".into()),
            Self::TooLarge { cap, .. } => Some(format!("at most {cap} bytes")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source.to_string()),
            Self::Permissions { mode, .. } => Some(format!("mode {mode:04o}")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(_) => Some("choose another place, or move the old file away first".into()),
            Self::NoFile(_) => Some("name a regular file, there already or not".into()),
            Self::NoDirectory(path) => Some(format!(
                "make it first: mkdir -p {}; or name another place",
                path.display()
            )),
            Self::Permissions { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Write { .. } => Some("check permissions and free space there".into()),
            _ => None,
        }
    }
}

/// A file's place, taken before there is anything to write: what is written lies beside it until
/// it is whole. Dropped before [`Pending::place`], nothing stays.
pub struct Pending {
    part: PathBuf,
    whole: PathBuf,
    placed: bool,
}

impl Pending {
    /// Takes a place, in a directory that is there, with the file to write: for its owner only.
    /// A file that has the name already stays until it is replaced as a whole.
    pub fn at(path: &Path) -> Result<(Self, File), FileError> {
        // Nor a device, a pipe, or what can only be a directory: a rename would fail, or replace it.
        let other = path.symlink_metadata().is_ok() && !path.is_file();
        if other || path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.ends_with(".") {
            return Err(FileError::NoFile(path.into()));
        }
        if let Some(parent) = path.parent()
            && !parent.as_os_str().is_empty()
            && !parent.is_dir()
        {
            return Err(FileError::NoDirectory(parent.into()));
        }
        Self::with_mode(path, 0o600)
    }

    fn with_mode(path: &Path, mode: u32) -> Result<(Self, File), FileError> {
        let part = beside(path);
        let file = open_new(&part, mode)?;
        let pending = Self {
            part,
            whole: path.into(),
            placed: false,
        };
        Ok((pending, file))
    }

    /// The system's error about the file, for `map_err`.
    pub fn cannot_be_written(&self, source: std::io::Error) -> FileError {
        FileError::write(&self.whole)(source)
    }

    /// Gives the file, which is synced, its name.
    pub fn place(mut self) -> Result<(), FileError> {
        std::fs::rename(&self.part, &self.whole).map_err(FileError::write(&self.whole))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.placed {
            // Best effort: a file that is not whole is of no use to anyone.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// The bytes of a file of at most `cap` bytes.
pub fn read_bytes(path: &Path, cap: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::read(path))?;
    read_capped(file, path, cap)
}

fn read_capped(file: File, path: &Path, cap: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(cap.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileError::read(path))?;
    if bytes.len() as u64 > cap {
        return Err(FileError::TooLarge {
            path: path.into(),
            cap,
        });
    }
    Ok(bytes)
}

/// A text file of at most [`MAX_TEXT`] bytes.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read_bytes(path, MAX_TEXT)?).map_err(|_| FileError::Contents {
        path: path.into(),
        wanted: "UTF-8 text",
    })
}

/// A file of JSON; one that is not there yet is the default, one that does not parse is not
/// `wanted`.
pub fn read_json_or_default<T: DeserializeOwned + Default>(
    path: &Path,
    wanted: &'static str,
) -> Result<T, FileError> {
    match read_text(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|_| FileError::Contents {
            path: path.into(),
            wanted,
        }),
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(T::default())
        }
        Err(error) => Err(error),
    }
}

/// A secret: a regular file, not a link, that only its owner may read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(FileError::read(path))?;
    let metadata = file.metadata().map_err(FileError::read(path))?;
    if !metadata.is_file() {
        return Err(FileError::Contents {
            path: path.into(),
            wanted: "a regular file",
        });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Permissions {
            path: path.into(),
            mode,
        });
    }
    read_capped(file, path, 4096).map(Zeroizing::new)
}

/// Makes a new file with these permissions; one that exists is an error.
pub fn create_new(path: &Path, mode: u32, contents: &[u8]) -> Result<(), FileError> {
    create_with(path, mode, |file| {
        file.write_all(contents).and_then(|()| file.sync_all())
    })
}

/// Makes a new file and fills it; what is not whole does not stay.
fn create_with(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), FileError> {
    create_parent(path)?;
    let mut file = open_new(path, mode)?;
    fill(&mut file).map_err(|source| {
        // The error that is reported is the write's.
        let _ = std::fs::remove_file(path);
        FileError::write(path)(source)
    })
}

/// Replaces a file as a whole.
pub fn replace(path: &Path, mode: u32, contents: &[u8]) -> Result<(), FileError> {
    create_parent(path)?;
    let (pending, mut file) = Pending::with_mode(path, mode)?;
    file.write_all(contents)
        .and_then(|()| file.sync_all())
        .map_err(FileError::write(&pending.part))?;
    pending.place()
}

fn open_new(path: &Path, mode: u32) -> Result<File, FileError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(FileError::write(path))
}

/// A name beside `path`, for a file that is renamed into place when it is whole.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// Makes the directory that `path` is in.
pub fn create_parent(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            std::fs::create_dir_all(parent).map_err(FileError::write(parent))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_must_be_private_files() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        create_new(&open, 0o644, b"x").unwrap();
        assert_eq!(read_secret(&open).unwrap_err().code(), "DB-REQ-004");
        let closed = dir.path().join("closed");
        create_new(&closed, 0o600, b"x").unwrap();
        assert_eq!(read_secret(&closed).unwrap().as_slice(), b"x");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&closed, &link).unwrap();
        assert!(read_secret(&link).is_err());
    }

    #[test]
    fn replacing_leaves_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        create_new(&path, 0o600, b"1").unwrap();
        assert_eq!(
            create_new(&path, 0o600, b"2").unwrap_err().code(),
            "DB-REQ-003"
        );
        replace(&path, 0o600, b"2").unwrap();
        assert_eq!(read_text(&path).unwrap(), "2");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_whole_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let error = create_with(&path, 0o600, |file| {
            file.write_all(b"half")?;
            Err(std::io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert_eq!(error.code(), "DB-REQ-002");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        // One that was there before is not ours to remove.
        create_new(&path, 0o600, b"old").unwrap();
        create_with(&path, 0o600, |_| Ok(())).unwrap_err();
        assert_eq!(read_text(&path).unwrap(), "old");
    }

    #[test]
    fn places_are_taken_without_making_directories() {
        let dir = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let error = Pending::at(&dir.path().join("none/a")).err().unwrap();
        assert_eq!((error.code(), error.exit()), ("DB-REQ-007", Exit::Usage));
        assert!(error.hint().unwrap().contains("mkdir"));
        let slash = dir.path().join("new/");
        for place in [dir.path(), &slash, Path::new("/dev/null")] {
            assert_eq!(Pending::at(place).err().unwrap().code(), "DB-REQ-008");
        }
        assert_eq!(files(), 0);

        let path = dir.path().join("a");
        std::fs::write(&path, "old").unwrap();
        drop(Pending::at(&path).unwrap());
        assert_eq!((read_text(&path).unwrap().as_str(), files()), ("old", 1));
        let (pending, mut file) = Pending::at(&path).unwrap();
        file.write_all(b"new").unwrap();
        pending.place().unwrap();
        assert_eq!((read_text(&path).unwrap().as_str(), files()), ("new", 1));
    }

    #[test]
    fn caps_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        create_new(&path, 0o600, &[0; 9]).unwrap();
        assert_eq!(read_bytes(&path, 9).unwrap().len(), 9);
        assert_eq!(read_bytes(&path, 8).unwrap_err().code(), "DB-REQ-005");
    }
}
