//! Page headers of chunks in the clear, looked at before the engine is given any of them.
//!
//! Whoever could write the stored file wrote these headers, and so they may lie even where a digest
//! says that they are still the same. DuckDB 2.0.0 believes one thing too many: it reads a data page of
//! version 2 that says it is not compressed into a buffer of the size that it should have plain,
//! however long it is (`ColumnReader::PreparePageV2`). Headers that two readers could take for
//! different ones are refused as well.

use super::chunks::Chunk;
use super::error::LakeError;
use super::pages::MAX_HEADER;
use super::thrift::{BadThrift, Compact, kind};
use super::window::Window;

/// Most headers are shorter than this.
const USUAL: usize = 1 << 10;

/// Walks through the chunk from page to page, and demands that they fill it.
pub(super) fn check(window: &mut Window<'_>, chunk: &Chunk, path: &str) -> Result<(), LakeError> {
    let mut at = 0;
    while at < chunk.stored {
        let page = page(window, at, chunk.stored - at)?;
        at = page
            .and_then(|size| at.checked_add(size))
            .filter(|end| *end <= chunk.stored)
            .ok_or_else(|| LakeError::PageForm {
                row_group: chunk.row_group,
                column: path.into(),
            })?;
    }
    Ok(())
}

/// The size of the page at `at`, with its header; `None` if that is none.
fn page(window: &mut Window<'_>, at: u64, left: u64) -> Result<Option<u64>, LakeError> {
    for most in [USUAL, MAX_HEADER] {
        let length = usize::try_from(left).unwrap_or(most).min(most);
        if let Ok(size) = size(window.get(at, length)?) {
            return Ok(Some(size));
        }
        if length < most {
            break;
        }
    }
    Ok(None)
}

/// Bytes of a page, of which `bytes` are the first ones: its header's and what that says of the body.
fn size(bytes: &[u8]) -> Result<u64, BadThrift> {
    let mut read = Compact::new(bytes);
    let (mut last, mut plain, mut stored, mut raw) = (0, None, None, false);
    while let Some(field) = read.next(&mut last)? {
        match (field.id, field.kind) {
            (2, kind::I32) => plain = Some(read.i32()?),
            (3, kind::I32) => stored = Some(read.i32()?),
            (8, kind::STRUCT) => raw = is_raw(&mut read)?,
            (1, kind::I32) | (4.., _) => read.skip(field.kind)?,
            _ => return Err(BadThrift),
        }
    }
    let (Some(plain), Some(stored)) = (plain, stored) else {
        return Err(BadThrift);
    };
    if plain < 0 || (raw && stored != plain) {
        return Err(BadThrift);
    }
    let (body, header) = (u64::try_from(stored), u64::try_from(read.at()));
    Ok(body.map_err(|_| BadThrift)? + header.map_err(|_| BadThrift)?)
}

/// Passes over a `DataPageHeaderV2`: whether it says that its values are not compressed.
fn is_raw(read: &mut Compact<'_>) -> Result<bool, BadThrift> {
    let (mut last, mut raw) = (0, false);
    while let Some(field) = read.next(&mut last)? {
        match (field.id, field.kind) {
            (7, kind::TRUE) => {}
            (7, kind::FALSE) => raw = true,
            (7, _) => return Err(BadThrift),
            _ => read.skip(field.kind)?,
        }
    }
    Ok(raw)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A data page of version 2: type 3, 100 bytes plain, 80 stored; in its own header 5 values, no
    /// nulls, 5 rows, encoding 0, no level bytes, and whether it is compressed.
    fn version_2(stored: u8, compressed: u8) -> Vec<u8> {
        let inner = [
            0x15,
            0x0a,
            0x15,
            0x00,
            0x15,
            0x0a,
            0x15,
            0x00,
            0x15,
            0x00,
            0x15,
            0x00,
            0x10 | compressed,
        ];
        let head = [0x15, 0x06, 0x15, 0xc8, 0x01, 0x15, stored << 1, 0x5c];
        [&head[..], &inner, &[0, 0]].concat()
    }

    #[test]
    fn what_is_not_compressed_has_one_size() {
        let header = version_2(50, kind::TRUE);
        assert_eq!(size(&header), Ok(header.len() as u64 + 50));
        assert_eq!(size(&version_2(50, kind::FALSE)), Err(BadThrift));
        // 100 as a varint of two bytes.
        let mut same = version_2(50, kind::FALSE);
        same.splice(6..7, [0xc8, 0x01]);
        assert_eq!(size(&same), Ok(same.len() as u64 + 100));
    }

    #[test]
    fn a_header_is_read_in_one_way_only() {
        let good = [0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x64, 0x2c, 0x00, 0x00];
        assert_eq!(size(&good), Ok(10 + 50));
        for (what, from, to, put) in [
            ("a size twice", 7, 7, &[0x05, 0x06, 0x64][..]),
            ("a size below zero", 6, 7, &[0x63]),
            ("a plain size below zero", 3, 5, &[0x63]),
            ("a size of another kind", 5, 6, &[0x16]),
            ("no size", 5, 7, &[]),
            ("no end", 9, 10, &[]),
            ("an end that is none", 9, 10, &[0x10]),
        ] {
            let mut bad = good.to_vec();
            bad.splice(from..to, put.iter().copied());
            assert_eq!(size(&bad), Err(BadThrift), "{what}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = size(&bytes);
        }
    }
}
