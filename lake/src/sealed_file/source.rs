//! Where a sealed file's stored bytes come from.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Advice, fadvise};

/// Stored bytes that can be read at any place, by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Length in bytes, fixed from the start.
    fn len(&self) -> u64;

    /// Fills `buf` from `offset` on, or fails; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// The bytes themselves, if they are in memory that nobody can change while the source lives:
    /// then nothing is copied before it is decrypted.
    fn lend(&self, _offset: u64, _length: usize) -> Option<&[u8]> {
        None
    }

    /// Says that these bytes will be read soon.
    fn will_need(&self, _offset: u64, _length: u64) {}

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file of this machine.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    len: u64,
}

impl LocalFile {
    /// Takes an open file; its length is read now and not again.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl ReadAt for LocalFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn will_need(&self, offset: u64, length: u64) {
        // A hint: whether it is taken changes nothing but the time.
        let _ = fadvise(
            &self.file,
            offset,
            NonZeroU64::new(length),
            Advice::WillNeed,
        );
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self
            .lend(offset, buf.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn lend(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset).ok()?;
        self.get(from..from.checked_add(length)?)
    }
}
