//! A chunk read from its start to its end: one read, every page to its final place.

use aws_lc_rs::aead::LessSafeKey;

use super::aad::Aad;
use super::chunks::Chunk;
use super::error::LakeError;
use super::pages::Walk;
use super::source::ReadAt;
use super::window::Window;

/// Stored bytes read at a time; most chunks are smaller.
const AHEAD: u64 = 4 << 20;

/// Whether `length` bytes from the chunk's start hold its whole plaintext.
pub(super) fn covers(chunk: &Chunk, length: u64) -> bool {
    length >= chunk.exact.unwrap_or(chunk.stored)
}

/// Decrypts the whole chunk into `out`; what is left of `out` becomes zeros.
pub(super) fn decrypt(
    source: &dyn ReadAt,
    key: &LessSafeKey,
    file_aad: &[u8],
    chunk: &Chunk,
    out: &mut [u8],
) -> Result<(), LakeError> {
    let mut aad = Aad::new(file_aad, chunk.row_group, chunk.column)
        .ok_or(LakeError::CryptoForm("the AAD is too long"))?;
    let mut window = Window::new(source, chunk, AHEAD);
    let mut walk = Walk::new(chunk);
    let mut rest = out;
    while !walk.ended(chunk) {
        let length = walk.header_length(chunk, &mut window)?;
        let (header, after) = split(rest, length)?;
        let page = walk.step(key, chunk, &mut aad, &mut window, header)?;
        let (body, after) = split(after, page.body)?;
        page.open(key, chunk, &mut aad, &mut window, body)?;
        rest = after;
    }
    rest.fill(0);
    Ok(())
}

fn split(out: &mut [u8], length: usize) -> Result<(&mut [u8], &mut [u8]), LakeError> {
    out.split_at_mut_checked(length)
        .ok_or(LakeError::Layout("pages larger than their chunk"))
}
