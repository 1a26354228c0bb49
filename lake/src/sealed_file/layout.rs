//! Where things lie in the virtual file: each in a place of its own, far from every other.
//!
//! The virtual file is free in its layout and costs no memory, and DuckDB reads gaps along: up to
//! 32 MiB between two column chunks, and whole row groups of which it wants nearly all. With more
//! than that between any two things it never asks for bytes that no query needs, and a column whose
//! key is missing is never read by the way.

use super::bloom::Bloom;
use super::chunks::Chunk;
use super::error::LakeError;
use super::footer::HEAD;

/// Zeros before every thing and before the footer.
const GAP: u64 = 64 << 20;

/// What lies in a place.
pub(super) enum Content {
    /// A column chunk.
    Chunk(Chunk),
    /// A column's bloom filter.
    Bloom(Bloom),
    /// A chunk whose key is not there: whoever reads it learns which.
    Locked {
        /// The leaf.
        column: i16,
    },
}

/// A thing and its place.
pub(super) struct Slot {
    /// Offset in the virtual file.
    pub(super) place: u64,
    /// Bytes that it takes there.
    pub(super) room: u64,
    /// What it is.
    pub(super) content: Content,
}

impl Slot {
    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.place + self.room
    }
}

/// Places given away so far.
#[derive(Default)]
pub(super) struct Layout(Vec<Slot>);

impl Layout {
    /// Gives a place.
    pub(super) fn put(&mut self, content: Content) -> Result<i64, LakeError> {
        let room = match &content {
            Content::Chunk(chunk) => chunk.room(),
            Content::Bloom(bloom) => bloom.room(),
            Content::Locked { .. } => 1,
        };
        let place = self.end()?;
        self.0.push(Slot {
            place,
            room,
            content,
        });
        self.end()?;
        offset(place)
    }

    /// Where the next thing begins, and behind the last one the footer.
    pub(super) fn end(&self) -> Result<u64, LakeError> {
        let end = self.0.last().map_or(HEAD, Slot::end);
        end.checked_add(GAP)
            .filter(|end| i64::try_from(*end).is_ok())
            .ok_or(LakeError::Layout("more than any file can hold"))
    }

    /// Everything, in order.
    pub(super) fn into_slots(self) -> Vec<Slot> {
        self.0
    }
}

/// A place or a size as footers write it.
pub(super) fn offset(number: u64) -> Result<i64, LakeError> {
    i64::try_from(number).map_err(|_| LakeError::Layout("more than any file can hold"))
}
