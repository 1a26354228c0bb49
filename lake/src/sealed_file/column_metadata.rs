//! `ColumnMetaData` of one chunk: where it lies and how long it is.

use super::file_metadata::{Leaf, Raw, same_path};
use super::thrift::{BadThrift, Compact, kind};

/// What one chunk's metadata says.
pub(super) struct ColumnMetadata<'a> {
    /// Everything but places and sizes.
    pub(super) fields: Vec<Raw<'a>>,
    /// Where it begins.
    pub(super) start: u64,
    /// Its bytes as stored.
    pub(super) stored: u64,
    /// Where its first data page begins, from the chunk's start, if a dictionary comes before it.
    pub(super) dictionary: Option<u64>,
    /// Its pages, where they are counted.
    pub(super) pages: Option<u64>,
    /// Where its bloom filter begins.
    pub(super) bloom: Option<u64>,
    /// The stored bytes of the bloom filter, if the writer knew.
    pub(super) bloom_length: Option<u64>,
}

/// Fields of places and sizes: they change between the stored file and the virtual one.
pub(super) mod field {
    pub(in super::super) const STORED: i16 = 7;
    pub(in super::super) const DATA_PAGE: i16 = 9;
    pub(in super::super) const INDEX_PAGE: i16 = 10;
    pub(in super::super) const DICTIONARY_PAGE: i16 = 11;
    pub(in super::super) const BLOOM: i16 = 14;
    pub(in super::super) const BLOOM_LENGTH: i16 = 15;
}

/// Reads the structure, which must be all of `bytes`.
pub(super) fn parse<'a>(bytes: &'a [u8], leaf: &Leaf) -> Result<ColumnMetadata<'a>, BadThrift> {
    let mut read = Compact::new(bytes);
    let mut found = ColumnMetadata {
        fields: Vec::new(),
        start: 0,
        stored: 0,
        dictionary: None,
        pages: None,
        bloom: None,
        bloom_length: None,
    };
    let (mut stored, mut data, mut dictionary) = (None, None, None);
    let mut last = 0;
    while let Some(next) = read.next(&mut last)? {
        let value = read.raw(next.kind)?;
        let mut inner = Compact::new(value);
        let mut number = || match next.kind {
            kind::I64 => inner
                .i64()
                .and_then(|n| u64::try_from(n).map_err(|_| BadThrift)),
            _ => Err(BadThrift),
        };
        match next.id {
            field::STORED => stored = Some(number()?),
            field::DATA_PAGE => data = Some(number()?),
            field::DICTIONARY_PAGE => dictionary = Some(number()?),
            field::BLOOM => found.bloom = Some(number()?),
            // Its length is a 32-bit number, other than all the rest.
            field::BLOOM_LENGTH if next.kind == kind::I32 => {
                let length = u64::try_from(inner.i32()?).map_err(|_| BadThrift)?;
                found.bloom_length = Some(length);
            }
            field::INDEX_PAGE => {}
            1 if next.kind == kind::I32 && inner.i32()? == leaf.physical => {
                found.fields.push((next, value));
            }
            3 if next.kind == kind::LIST => {
                same_path(&mut inner, leaf)?;
                found.fields.push((next, value));
            }
            1 | 3 | field::BLOOM_LENGTH => return Err(BadThrift),
            13 if next.kind == kind::LIST => {
                found.pages = Some(pages(&mut inner)?);
                found.fields.push((next, value));
            }
            _ => found.fields.push((next, value)),
        }
    }
    let data = data.ok_or(BadThrift)?;
    found.stored = stored.ok_or(BadThrift)?;
    // Some writers say 0 where there is none, for a dictionary without data pages too.
    (found.start, found.dictionary) = match dictionary.filter(|at| *at > 0) {
        Some(at) if data == 0 => (at, Some(found.stored)),
        Some(at) if at < data => (at, Some(data - at)),
        _ => (data, None),
    };
    if read.at() == bytes.len() {
        Ok(found)
    } else {
        Err(BadThrift)
    }
}

/// The sum of the counts in `PageEncodingStats`.
fn pages(read: &mut Compact<'_>) -> Result<u64, BadThrift> {
    let mut sum = 0_u64;
    for _ in 0..read.structs()? {
        let mut last = 0;
        while let Some(field) = read.next(&mut last)? {
            if (field.id, field.kind) == (3, kind::I32) {
                let count = u64::try_from(read.i32()?).map_err(|_| BadThrift)?;
                sum = sum.checked_add(count).ok_or(BadThrift)?;
            } else {
                read.skip(field.kind)?;
            }
        }
    }
    Ok(sum)
}
