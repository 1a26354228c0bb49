//! The output directory: files appear under their names whole or not at all, and after an error
//! none of this run is left.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::error::SealError;

/// An output directory while it is being filled. Dropped before [`Workspace::keep`], it removes
/// all that it made.
pub(super) struct Workspace {
    dir: PathBuf,
    made_dir: bool,
    made: Vec<PathBuf>,
    kept: bool,
}

/// A file that has no name of its own yet.
pub(super) struct Unnamed {
    /// Where it is meanwhile.
    pub(super) path: PathBuf,
    name: String,
}

impl Workspace {
    /// Takes a directory, which is made if it is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, SealError> {
        let made_dir = !dir.exists();
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        Ok(Self {
            dir: dir.into(),
            made_dir,
            made: Vec::new(),
            kept: false,
        })
    }

    /// Starts a file that will be called `name`.
    pub(super) fn create(&mut self, name: &str) -> Result<(File, Unnamed), SealError> {
        let path = self.dir.join(format!(".{name}.sealing"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| failed(&path, &error))?;
        self.made.push(path.clone());
        Ok((
            file,
            Unnamed {
                path,
                name: name.into(),
            },
        ))
    }

    /// Gives a synced file its name.
    pub(super) fn publish(&mut self, file: Unnamed) -> Result<PathBuf, SealError> {
        let to = self.dir.join(&file.name);
        fs::rename(&file.path, &to).map_err(|error| failed(&to, &error))?;
        self.made.retain(|path| *path != file.path);
        self.made.push(to.clone());
        Ok(to)
    }

    /// Writes, syncs and names a small file.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), SealError> {
        let (mut file, unnamed) = self.create(name)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| failed(&unnamed.path, &error))?;
        self.publish(unnamed).map(drop)
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> Result<(), SealError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| failed(&self.dir, &error))
    }

    /// All is well: nothing is removed.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for path in &self.made {
            let _ = fs::remove_file(path);
        }
        if self.made_dir {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> SealError {
    SealError::Output {
        path: path.into(),
        kind: error.kind(),
    }
}
