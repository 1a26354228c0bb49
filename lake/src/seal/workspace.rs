//! The output directory: files appear under their names whole or not at all, and after an error
//! none of this run is left.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::SealError;

/// How names of files end that are not whole yet; they start with a point.
pub const UNFINISHED: &str = ".sealing";

/// An output directory while files are added to it. Dropped before [`Workspace::keep`], it removes
/// all that it made.
pub struct Workspace {
    dir: PathBuf,
    /// Directories that were not there, from the outermost in.
    made_dirs: Vec<PathBuf>,
    made: Vec<PathBuf>,
    /// Directories whose names are not durable yet.
    unsynced: BTreeSet<PathBuf>,
    kept: bool,
}

/// A file that has no name of its own yet.
pub(super) struct Unnamed {
    /// Where it is meanwhile.
    pub(super) path: PathBuf,
    to: PathBuf,
}

impl Workspace {
    /// Takes a directory, which is made if it is not there.
    pub fn open(dir: &Path) -> Result<Self, SealError> {
        let mut workspace = Self {
            dir: dir.into(),
            made_dirs: Vec::new(),
            made: Vec::new(),
            unsynced: BTreeSet::new(),
            kept: false,
        };
        workspace.make_dir(dir)?;
        Ok(workspace)
    }

    /// Makes a directory and what is missing above it.
    fn make_dir(&mut self, dir: &Path) -> Result<(), SealError> {
        let missing: Vec<_> = dir
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists())
            .map(Path::to_path_buf)
            .collect();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(&dir) {
                Ok(()) => {}
                // Somebody else made it meanwhile, who also keeps it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&dir, &error)),
            }
            self.unsynced.extend(dir.parent().map(existing));
            self.made_dirs.push(dir);
        }
        // In the way of the directory.
        match fs::metadata(dir) {
            Ok(about) if about.is_dir() => Ok(()),
            Ok(_) => Err(failed(dir, &std::io::ErrorKind::NotADirectory.into())),
            Err(error) => Err(failed(dir, &error)),
        }
    }

    /// Starts a file that will be called `name`, relative to the directory.
    pub(super) fn create(&mut self, name: &str) -> Result<(File, Unnamed), SealError> {
        let to = self.dir.join(name);
        let dir = to.parent().unwrap_or(&self.dir).to_path_buf();
        self.make_dir(&dir)?;
        let short = name.rsplit('/').next().unwrap_or(name);
        let path = dir.join(format!(".{short}{UNFINISHED}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| failed(&path, &error))?;
        self.made.push(path.clone());
        self.unsynced.insert(dir);
        Ok((file, Unnamed { path, to }))
    }

    /// Gives a synced file its name.
    pub(super) fn publish(&mut self, file: Unnamed) -> Result<PathBuf, SealError> {
        let to = file.to;
        fs::rename(&file.path, &to).map_err(|error| failed(&to, &error))?;
        self.made.retain(|path| *path != file.path);
        self.made.push(to.clone());
        Ok(to)
    }

    /// A file without a name, which is gone when it is closed.
    pub(super) fn scratch(&mut self) -> Result<File, SealError> {
        let name = format!("spill-{}", self.made.len());
        let (file, unnamed) = self.create(&name)?;
        fs::remove_file(&unnamed.path).map_err(|error| failed(&unnamed.path, &error))?;
        self.made.retain(|path| *path != unnamed.path);
        Ok(file)
    }

    /// Makes the names durable.
    pub fn sync(&mut self) -> Result<(), SealError> {
        for dir in std::mem::take(&mut self.unsynced) {
            File::open(&dir)
                .and_then(|dir| dir.sync_all())
                .map_err(|error| failed(&dir, &error))?;
        }
        Ok(())
    }

    /// All is well: nothing is removed.
    pub fn keep(mut self) {
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
        for dir in self.made_dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// The directory itself where a relative path has no parent.
fn existing(dir: &Path) -> PathBuf {
    if dir.as_os_str().is_empty() {
        ".".into()
    } else {
        dir.into()
    }
}

fn failed(path: &Path, error: &std::io::Error) -> SealError {
    SealError::Output {
        path: path.into(),
        kind: error.kind(),
    }
}
