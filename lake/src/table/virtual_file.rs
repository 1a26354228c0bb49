//! The virtual plaintext of a sealed file as the `parquet` crate reads files, in bounded memory.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::sealed_file::{LakeError, SealedFile};

/// Largest range that is held as a whole, in bytes: what is larger is read page by page.
const HELD: u64 = 16 << 20;
/// Bytes read at a time for a page header.
const HEADER: usize = 256;

/// A sealed file, and the first error that reading it gave: the `parquet` crate makes a text of it.
#[derive(Clone)]
pub(super) struct VirtualFile {
    file: Arc<SealedFile>,
    failure: Arc<Mutex<Option<LakeError>>>,
}

impl VirtualFile {
    pub(super) fn new(file: SealedFile) -> Self {
        Self {
            file: Arc::new(file),
            failure: Arc::default(),
        }
    }

    /// Why reading failed, if it was the file's fault.
    pub(super) fn failure(&self) -> Option<LakeError> {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Fills `buf`, or fails and remembers why.
    fn read_exact(&self, buf: &mut [u8], at: u64) -> Result<(), LakeError> {
        let read = match self.file.read_at(buf, at) {
            Ok(read) if read == buf.len() => return Ok(()),
            Ok(_) => LakeError::Truncated,
            Err(error) => error,
        };
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| read.clone());
        Err(read)
    }

    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, LakeError> {
        let mut bytes = vec![0; length];
        self.read_exact(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

impl Length for VirtualFile {
    fn len(&self) -> u64 {
        self.file.virtual_len()
    }
}

impl ChunkReader for VirtualFile {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let file = self.clone();
        Ok(BufReader::with_capacity(HEADER, At { file, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.bytes(start, length)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// A place in the virtual file.
pub(super) struct At {
    file: VirtualFile,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len().saturating_sub(self.at);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let buf = buf.get_mut(..length).unwrap_or_default();
        self.file
            .read_exact(buf, self.at)
            .map_err(io::Error::other)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// One column chunk: read at once if it is not too large.
pub(super) struct Chunk {
    file: VirtualFile,
    start: u64,
    held: Option<Bytes>,
}

impl Chunk {
    pub(super) fn new(
        file: &VirtualFile,
        (start, length): (u64, u64),
    ) -> parquet::errors::Result<Self> {
        let held = match usize::try_from(length) {
            Ok(length) if length as u64 <= HELD => Some(file.get_bytes(start, length)?),
            _ => None,
        };
        Ok(Self {
            file: file.clone(),
            start,
            held,
        })
    }

    /// What is held from `start` on.
    fn held(&self, start: u64) -> Option<Bytes> {
        let held = self.held.as_ref()?;
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        (from <= held.len()).then(|| held.slice(from..))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Chunk {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        use bytes::Buf as _;
        match self.held(start) {
            Some(bytes) => Ok(Box::new(bytes.reader())),
            None => Ok(Box::new(self.file.get_read(start)?)),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self.held(start) {
            Some(bytes) if length <= bytes.len() => Ok(bytes.slice(..length)),
            Some(_) => Err(ParquetError::EOF("a page leaves its column chunk".into())),
            None => self.file.get_bytes(start, length),
        }
    }
}
