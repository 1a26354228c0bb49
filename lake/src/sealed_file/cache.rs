//! Cursors kept between reads, bounded in number and in bytes; the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::cursor::Cursor;

/// Most cursors of one file.
const MAX_CURSORS: usize = 256;
/// Most bytes that the cursors of one file hold together.
const MAX_HELD: usize = 32 << 20;

/// Cursors by chunk.
#[derive(Default)]
pub(super) struct Cache(Mutex<VecDeque<(usize, Cursor)>>);

impl Cache {
    /// Takes the chunk's cursor out: nobody else uses it meanwhile.
    pub(super) fn take(&self, chunk: usize) -> Option<Cursor> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, _)| *of == chunk)?;
        kept.remove(at).map(|(_, cursor)| cursor)
    }

    /// Puts a cursor back for the next read.
    pub(super) fn put(&self, chunk: usize, cursor: Cursor) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, _)| *of != chunk);
        kept.push_back((chunk, cursor));
        let mut held: usize = kept.iter().map(|(_, cursor)| cursor.held()).sum();
        while kept.len() > MAX_CURSORS || held > MAX_HELD {
            let Some((_, oldest)) = kept.pop_front() else {
                break;
            };
            held -= oldest.held();
        }
    }

    /// Cursors kept now.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
