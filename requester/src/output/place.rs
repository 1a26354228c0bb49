//! Where bytes go: a file that appears when it is whole, or stdout.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal as _, Stdout, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::OutputError;
use super::format::Format;
use crate::files::{self, FileError};

const BUFFER: usize = 1 << 20;

/// A buffered file or stdout.
pub(super) type Out = BufWriter<Target>;

/// What is behind the buffer.
pub(super) enum Target {
    File(File),
    Stdout(Stdout),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(out) => out.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(out) => out.flush(),
        }
    }
}

/// Where a result belongs.
pub(super) enum Place {
    File {
        part: PathBuf,
        whole: PathBuf,
        file: Option<File>,
        committed: bool,
    },
    Stdout,
}

impl Place {
    /// A file; fails now if it cannot be made later.
    pub(super) fn file(path: &Path) -> Result<Self, OutputError> {
        if path.is_dir() {
            return Err(FileError::Exists(path.into()).into());
        }
        files::create_parent(path)?;
        let part = files::beside(path);
        // Results are as secret as the data: for their owner only.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(FileError::write(&part))?;
        Ok(Self::File {
            part,
            whole: path.into(),
            file: Some(file),
            committed: false,
        })
    }

    pub(super) fn stdout(format: Format) -> Result<Self, OutputError> {
        if format.is_binary() && std::io::stdout().is_terminal() {
            return Err(OutputError::Terminal);
        }
        Ok(Self::Stdout)
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// The writer; a file's can be had once.
    pub(super) fn writer(&mut self) -> Result<Out, OutputError> {
        let target = match self {
            Self::File { file, .. } => Target::File(file.take().ok_or(OutputError::NoSchema)?),
            Self::Stdout => Target::Stdout(std::io::stdout()),
        };
        Ok(BufWriter::with_capacity(BUFFER, target))
    }

    /// Everything is written: makes it last and puts it into place.
    pub(super) fn commit(mut self, mut out: Out) -> Result<(), OutputError> {
        out.flush().map_err(OutputError::Write)?;
        if let (
            Self::File {
                part,
                whole,
                committed,
                ..
            },
            Target::File(file),
        ) = (&mut self, out.get_ref())
        {
            file.sync_all().map_err(OutputError::Write)?;
            std::fs::rename(&*part, &*whole).map_err(FileError::write(whole))?;
            *committed = true;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::File {
            part,
            committed: false,
            ..
        } = self
        {
            // Best effort: a file that is not whole is of no use to anyone.
            let _ = std::fs::remove_file(part);
        }
    }
}
