//! Pages of chunks in the clear, looked at before the engine is given any of them: whoever could write
//! the stored file wrote their headers, and a digest says only that they are still the same.

use super::chunks::Chunk;
use super::error::LakeError;
use super::page_header::{Header, MAX_HEADER};
use super::window::Window;

/// Most headers are shorter than this.
const USUAL: usize = 1 << 10;

/// Walks through the chunk from page to page, and demands that they fill it.
pub(super) fn check(window: &mut Window<'_>, chunk: &Chunk, path: &str) -> Result<(), LakeError> {
    let mut at = 0;
    while at < chunk.stored {
        let size = header(window, at, chunk.stored - at)?
            .filter(|header| header.fits(header.stored) && chunk.may_have(header))
            .and_then(|header| {
                let body = u64::try_from(header.stored).ok()?;
                body.checked_add(header.length as u64)
            });
        at = size
            .and_then(|size| at.checked_add(size))
            .filter(|end| *end <= chunk.stored)
            .ok_or_else(|| LakeError::PageForm {
                row_group: chunk.row_group,
                column: path.into(),
            })?;
    }
    Ok(())
}

/// The header at `at`, if it is one.
fn header(window: &mut Window<'_>, at: u64, left: u64) -> Result<Option<Header>, LakeError> {
    for most in [USUAL, MAX_HEADER] {
        let length = usize::try_from(left).unwrap_or(most).min(most);
        if let Ok(header) = Header::parse(window.get(at, length)?) {
            return Ok(Some(header));
        }
        if length < most {
            break;
        }
    }
    Ok(None)
}
