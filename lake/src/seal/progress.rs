//! How far the sealer is.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// What the sealer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading inputs to learn their columns.
    Inspecting,
    /// Writing encrypted files.
    Sealing,
}

/// One report of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Input bytes passed in this stage, over all files.
    pub bytes: u64,
    /// Input bytes of all files.
    pub total_bytes: u64,
    /// Rows written so far.
    pub rows: u64,
}

/// Bytes of one input that were passed.
pub(super) type Passed = Rc<Cell<u64>>;

/// Counts what is taken from a buffered reader.
pub(super) struct Counted<R> {
    inner: R,
    passed: Passed,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R, passed: Passed) -> Self {
        Self { inner, passed }
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.passed.set(self.passed.get() + amount as u64);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.passed.set(self.passed.get() + read as u64);
        Ok(read)
    }
}
