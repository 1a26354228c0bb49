//! A chunk read from its start to its end: every page to its final place.

use super::chunks::Chunk;
use super::error::LakeError;
use super::pages::{Pages, Walk};
use super::window::{AHEAD, Window};

/// Whether `length` bytes from the chunk's start hold its whole plaintext.
pub(super) fn covers(chunk: &Chunk, length: u64) -> bool {
    length >= chunk.room()
}

/// Decrypts the whole chunk into `out`; what is left of `out` becomes zeros.
pub(super) fn decrypt(pages: &mut Pages<'_>, out: &mut [u8]) -> Result<(), LakeError> {
    let mut walk = Walk::new(pages.chunk);
    let mut rest = out;
    while !walk.ended(pages.chunk) {
        let length = pages.header_length(&walk)?;
        let (header, after) = split(rest, length)?;
        let page = pages.step(&mut walk, header)?;
        let (body, after) = split(after, page.body)?;
        pages.open(&page, body)?;
        rest = after;
    }
    rest.fill(0);
    Ok(())
}

/// Copies a part of a chunk that is in the clear.
pub(super) fn copy(window: &mut Window<'_>, from: u64, out: &mut [u8]) -> Result<(), LakeError> {
    let mut at = from;
    for room in out.chunks_mut(AHEAD) {
        room.copy_from_slice(window.get(at, room.len())?);
        at += room.len() as u64;
    }
    Ok(())
}

fn split(out: &mut [u8], length: usize) -> Result<(&mut [u8], &mut [u8]), LakeError> {
    out.split_at_mut_checked(length)
        .ok_or(LakeError::Layout("pages larger than their chunk"))
}
