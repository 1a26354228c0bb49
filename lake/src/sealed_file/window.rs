//! A view of one chunk's stored bytes through a buffer that is used again and again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::chunks::Chunk;
use super::error::LakeError;
use super::source::ReadAt;
use super::verify::{BLOCK, Blocks};

/// Stored bytes read at a time: they stay in the processor's second cache until they are decrypted.
pub(super) const AHEAD: usize = BLOCK;
/// The same for reads of a part of a chunk.
const AHEAD_OF_PART: usize = 64 << 10;
/// A read that takes longer than this is one of a slow store. Asking a fast one for what it holds
/// already would cost more than it gains.
const SLOW: Duration = Duration::from_micros(500);
/// A buffer larger than this is given back after use.
const KEEP: usize = 4 << 20;

thread_local! {
    /// Holds stored bytes only.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Stored bytes of one chunk.
pub(super) struct Window<'a> {
    source: &'a dyn ReadAt,
    chunk: &'a Chunk,
    /// The column's path, for errors.
    path: &'a str,
    /// What the bytes must be.
    blocks: Option<Blocks<'a>>,
    /// Bytes read ahead at a time.
    ahead: usize,
    /// Whether all of the chunk will be asked for, and the source does not know yet.
    whole: bool,
    buffer: Vec<u8>,
    /// The part of the chunk that the buffer holds; with `blocks`, whole blocks, checked.
    from: u64,
    filled: usize,
}

impl<'a> Window<'a> {
    /// Reads many bytes at a time if the `whole` chunk will be asked for, else fewer.
    pub(super) fn new(
        source: &'a dyn ReadAt,
        chunk: &'a Chunk,
        path: &'a str,
        blocks: Option<Blocks<'a>>,
        whole: bool,
    ) -> Self {
        Self {
            source,
            chunk,
            path,
            blocks,
            ahead: if whole { AHEAD } else { AHEAD_OF_PART },
            whole,
            buffer: SCRATCH.take(),
            from: 0,
            filled: 0,
        }
    }

    /// `length` bytes from `at`, counted from the chunk's start.
    pub(super) fn get(&mut self, at: u64, length: usize) -> Result<&[u8], LakeError> {
        let end = at
            .checked_add(length as u64)
            .filter(|end| *end <= self.chunk.stored)
            .ok_or(LakeError::Truncated)?;
        if self.blocks.is_none()
            && let Some(bytes) = self.source.lend(self.chunk.start + at, length)
        {
            return Ok(bytes);
        }
        if at < self.from || end > self.from + self.filled as u64 {
            self.fill(at, end)?;
        }
        let from = usize::try_from(at - self.from).map_err(|_| LakeError::Truncated)?;
        self.buffer
            .get(from..from + length)
            .ok_or(LakeError::Truncated)
    }

    /// Moves the window to `at`, up to `end` or beyond. What it holds of that already, it keeps.
    fn fill(&mut self, at: u64, end: u64) -> Result<(), LakeError> {
        let step = if self.blocks.is_some() {
            BLOCK as u64
        } else {
            1
        };
        let at = at - at % step;
        let mut keep = 0;
        if let Some(skip) = at.checked_sub(self.from)
            && let Ok(skip) = usize::try_from(skip)
            && skip < self.filled
        {
            keep = self.filled - skip;
            self.buffer.copy_within(skip..self.filled, 0);
        }
        self.from = at;
        self.filled = keep;
        let read_from = at + keep as u64;
        let wanted = end.max(read_from.saturating_add(self.ahead as u64));
        let read_to = wanted.next_multiple_of(step).min(self.chunk.stored);
        let length = usize::try_from(read_to - at).map_err(|_| LakeError::Truncated)?;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let room = self
            .buffer
            .get_mut(keep..length)
            .ok_or(LakeError::Truncated)?;
        let begun = Instant::now();
        self.source
            .read_exact_at(room, self.chunk.start + read_from)?;
        if self.whole && begun.elapsed() > SLOW && read_to < self.chunk.stored {
            // Not in memory: what follows can be on its way while this is decrypted.
            self.whole = false;
            let (from, left) = (self.chunk.start + read_to, self.chunk.stored - read_to);
            self.source.will_need(from, left);
        }
        if let Some(blocks) = &self.blocks
            && !blocks.are(read_from / step, room)
        {
            return Err(LakeError::ChunkDigest {
                row_group: self.chunk.row_group,
                column: self.path.into(),
            });
        }
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
