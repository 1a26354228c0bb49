//! A view of one chunk's stored bytes through a buffer that is used again and again.

use std::cell::Cell;

use super::chunks::Chunk;
use super::error::LakeError;
use super::source::ReadAt;

/// A buffer larger than this is given back after use.
const KEEP: usize = 8 << 20;

thread_local! {
    /// Holds ciphertext only.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Stored bytes of one chunk.
pub(super) struct Window<'a> {
    source: &'a dyn ReadAt,
    chunk: &'a Chunk,
    /// Bytes read ahead at a time.
    ahead: u64,
    buffer: Vec<u8>,
    /// The part of the chunk that the buffer holds.
    from: u64,
    filled: usize,
}

impl<'a> Window<'a> {
    /// Reads at least `ahead` bytes at a time, as far as the chunk goes.
    pub(super) fn new(source: &'a dyn ReadAt, chunk: &'a Chunk, ahead: u64) -> Self {
        Self {
            source,
            chunk,
            ahead,
            buffer: SCRATCH.take(),
            from: 0,
            filled: 0,
        }
    }

    /// `length` bytes from `at`, counted from the chunk's start.
    pub(super) fn get(&mut self, at: u64, length: usize) -> Result<&[u8], LakeError> {
        let end = at
            .checked_add(length as u64)
            .filter(|end| *end <= self.chunk.stored);
        let end = end.ok_or(LakeError::Truncated)?;
        if at < self.from || end > self.from + self.filled as u64 {
            self.fill(at, end)?;
        }
        let from = usize::try_from(at - self.from).map_err(|_| LakeError::Truncated)?;
        self.buffer
            .get(from..from + length)
            .ok_or(LakeError::Truncated)
    }

    fn fill(&mut self, at: u64, end: u64) -> Result<(), LakeError> {
        let end = end
            .max(at.saturating_add(self.ahead))
            .min(self.chunk.stored);
        let length = usize::try_from(end - at).map_err(|_| LakeError::Truncated)?;
        self.filled = 0;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let room = self.buffer.get_mut(..length).ok_or(LakeError::Truncated)?;
        self.source.read_exact_at(room, self.chunk.start + at)?;
        self.from = at;
        self.filled = length;
        Ok(())
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if self.buffer.len() <= KEEP {
            SCRATCH.set(std::mem::take(&mut self.buffer));
        }
    }
}
