//! The virtual file against the `parquet` crate's own reader, and against tampering.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod keys;
mod reads;
mod refusals;
mod tampering;
mod untagged;
mod variants;

use super::SealedFile;
use super::chunks::Chunk;
use super::layout::Content;

/// The chunks of an opened file with their places.
fn chunks(sealed: &SealedFile) -> Vec<(u64, &Chunk)> {
    sealed
        .slots()
        .iter()
        .filter_map(|slot| match &slot.content {
            Content::Chunk(chunk) => Some((slot.place, chunk)),
            _ => None,
        })
        .collect()
}
