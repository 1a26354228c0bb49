//! What was decrypted, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the reads of one file cost since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a read went to a column chunk, or to a bloom filter.
    pub chunks: u64,
    /// Pages decrypted; of columns in the clear, none.
    pub pages: u64,
    /// Bytes of page headers, pages and bloom filters decrypted, and of columns in the clear read.
    pub bytes: u64,
}

/// [`Counters`] that several threads add to.
#[derive(Default)]
pub(super) struct Counts {
    chunks: AtomicU64,
    pages: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// Adds one visit to a chunk.
    pub(super) fn add(&self, pages: u64, bytes: u64) {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.pages.fetch_add(pages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// As they stand now.
    pub(super) fn get(&self) -> Counters {
        Counters {
            chunks: self.chunks.load(Ordering::Relaxed),
            pages: self.pages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
