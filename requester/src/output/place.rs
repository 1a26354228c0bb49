//! Where bytes go: a file that appears when it is whole, or stdout.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Stdout, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::error::OutputError;
use super::format::Format;
use crate::files::Pending;

const BUFFER: usize = 1 << 20;

/// A buffered file or stdout.
pub(super) type Out = BufWriter<Target>;

/// What is behind the buffer; remembers the error that a format's writer may hide.
pub(super) struct Target {
    sink: Sink,
    fault: Fault,
}

enum Sink {
    File(File),
    Stdout(Stdout),
}

/// The first error of the system, past whatever a format makes of it.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<std::io::Error>>>);

impl Fault {
    fn note<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        if let Err(error) = &result
            && error.kind() != std::io::ErrorKind::Interrupted
            && let Ok(mut first) = self.0.lock()
        {
            first.get_or_insert_with(|| match error.raw_os_error() {
                Some(code) => std::io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            });
        }
        result
    }

    /// The system's error, if there was one; else this one.
    pub(super) fn or(&self, error: OutputError) -> OutputError {
        match self.0.lock().ok().and_then(|mut first| first.take()) {
            Some(source) => OutputError::write(source),
            None => error,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = match &mut self.sink {
            Sink::File(file) => file.write(bytes),
            Sink::Stdout(out) => out.write(bytes),
        };
        self.fault.note(written)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = match &mut self.sink {
            Sink::File(file) => file.flush(),
            Sink::Stdout(out) => out.flush(),
        };
        self.fault.note(flushed)
    }
}

/// Where a result belongs.
pub(super) enum Place {
    File {
        pending: Pending,
        file: Option<File>,
    },
    Stdout,
}

impl Place {
    /// A file; fails now if it cannot be made later.
    pub(super) fn file(path: &Path) -> Result<Self, OutputError> {
        let (pending, file) = Pending::at(path)?;
        Ok(Self::File {
            pending,
            file: Some(file),
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
    pub(super) fn writer(&mut self, fault: &Fault) -> Result<Out, OutputError> {
        let sink = match self {
            Self::File { file, .. } => Sink::File(file.take().ok_or(OutputError::NoSchema)?),
            Self::Stdout => Sink::Stdout(std::io::stdout()),
        };
        let target = Target {
            sink,
            fault: fault.clone(),
        };
        Ok(BufWriter::with_capacity(BUFFER, target))
    }

    /// Everything is written: makes it last and puts it into place.
    pub(super) fn commit(self, mut out: Out) -> Result<(), OutputError> {
        out.flush().map_err(OutputError::write)?;
        if let (Self::File { pending, .. }, Sink::File(file)) = (self, &out.get_ref().sink) {
            file.sync_all().map_err(OutputError::write)?;
            pending.place()?;
        }
        Ok(())
    }
}
