//! Headers of data and dictionary pages: what of them a walk needs, and what DuckDB must not believe.
//!
//! DuckDB 2.0.0 believes page headers too much. It reads a page of version 2 that says it is not
//! compressed into a buffer of the size that it says it has plain, however long it is; it takes the
//! body of an index page for further pages; and for values under DELTA_BYTE_ARRAY it adds lengths until
//! they wrap. So a header has to fit its body (`Header::fits`), other kinds of pages are refused, as is
//! whatever two readers could take for different things, and `Header::delta_strings` is told.

use std::ops::Range;

use super::aad::PageId;
use super::thrift::{BadThrift, Compact, kind};

/// Longest page header, in bytes: bounds of long strings may stand in it.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// `Encoding.DELTA_BYTE_ARRAY`.
const DELTA_BYTE_ARRAY: i32 = 7;

/// Kinds of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Dictionary,
    DataV2,
}

/// A `PageHeader`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    kind: Kind,
    /// `uncompressed_page_size`: bytes of the body once it is decompressed.
    plain: i32,
    /// `compressed_page_size`: bytes of the body as stored, with what encryption adds.
    pub(super) stored: i32,
    /// Where that number stands in the header.
    pub(super) stored_at: Range<usize>,
    /// Whether the body says that it is not compressed, whatever the codec.
    raw: bool,
    /// Whether its values are under DELTA_BYTE_ARRAY.
    pub(super) delta_strings: bool,
    /// Bytes of the header.
    pub(super) length: usize,
}

/// What stands in the header's part for one kind of page.
struct Values {
    encoding: i32,
    number: i32,
    raw: bool,
}

impl Header {
    /// Reads the header that `bytes` begin with. Fields stand in the order of their numbers, each
    /// once: then every reader sees the same ones.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadThrift> {
        let mut read = Compact::new(bytes);
        let (mut last, mut page, mut plain, mut stored) = (0, None, None, None);
        let (mut data, mut dictionary, mut version_2) = (None, None, None);
        while let Some(field) = read.next(&mut last)? {
            match (field.id, field.kind) {
                (1, kind::I32) => page = Some(read.i32()?),
                (2, kind::I32) => plain = Some(read.i32()?),
                (3, kind::I32) => {
                    let from = read.at();
                    let size = read.i32()?;
                    stored = Some((size, from..read.at()));
                }
                (5, kind::STRUCT) => data = Some(values(&mut read, 2, false)?),
                (7, kind::STRUCT) => dictionary = Some(values(&mut read, 2, false)?),
                (8, kind::STRUCT) => version_2 = Some(values(&mut read, 4, true)?),
                (4 | 6 | 9.., _) => read.skip(field.kind)?,
                _ => return Err(BadThrift),
            }
        }
        let (kind, values) = match page {
            Some(0) => (Kind::Data, data),
            Some(2) => (Kind::Dictionary, dictionary),
            Some(3) => (Kind::DataV2, version_2),
            _ => return Err(BadThrift),
        };
        let (Some(values), Some(plain), Some((stored, stored_at))) = (values, plain, stored) else {
            return Err(BadThrift);
        };
        // One more than the size is asked for somewhere.
        if !(0..i32::MAX).contains(&plain) || stored < 0 || values.number < 0 {
            return Err(BadThrift);
        }
        // A value takes a bit at least; memory for all of them is asked for before any is read.
        if kind == Kind::Dictionary && i64::from(values.number) > 8 * i64::from(plain) {
            return Err(BadThrift);
        }
        Ok(Self {
            kind,
            plain,
            stored,
            stored_at,
            raw: values.raw,
            delta_strings: values.encoding == DELTA_BYTE_ARRAY,
            length: read.at(),
        })
    }

    /// Whether it is a header of this page.
    pub(super) fn is_of(&self, page: PageId) -> bool {
        match page {
            PageId::Dictionary => self.kind == Kind::Dictionary,
            PageId::Data(_) => self.kind != Kind::Dictionary,
        }
    }

    /// Whether a body of this many bytes can be what it says: one that is not compressed has its plain
    /// size, and nothing does not become something.
    pub(super) fn fits(&self, body: i32) -> bool {
        body >= 0 && !(self.raw && body != self.plain) && !(body == 0 && self.plain > 0)
    }
}

/// A `DataPageHeader`, `DictionaryPageHeader` or `DataPageHeaderV2`, whose encoding is the field of this
/// number.
fn values(read: &mut Compact<'_>, encoding: i16, version_2: bool) -> Result<Values, BadThrift> {
    let (mut last, mut number, mut found, mut raw) = (0, None, None, false);
    while let Some(field) = read.next(&mut last)? {
        match (field.id, field.kind) {
            (1, kind::I32) => number = Some(read.i32()?),
            (id, kind::I32) if id == encoding => found = Some(read.i32()?),
            (7, kind::TRUE) if version_2 => {}
            (7, kind::FALSE) if version_2 => raw = true,
            (1, _) => return Err(BadThrift),
            (id, _) if id == encoding || (id == 7 && version_2) => return Err(BadThrift),
            _ => read.skip(field.kind)?,
        }
    }
    match (number, found) {
        (Some(number), Some(encoding)) => Ok(Values {
            encoding,
            number,
            raw,
        }),
        _ => Err(BadThrift),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A data page: 100 bytes plain, 200 stored, 5 values, plain, levels under RLE.
    pub(in super::super) const DATA: [u8; 18] = [
        0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x90, 0x03, 0x2c, 0x15, 0x0a, 0x15, 0x00, 0x15, 0x06,
        0x15, 0x06, 0x00,
    ];

    fn data() -> Vec<u8> {
        [&DATA[..], &[0]].concat()
    }

    /// A data page of version 2: 100 bytes plain, 200 stored, 5 values, no nulls, 5 rows, an
    /// encoding, no bytes of levels, and whether it is compressed.
    fn version_2(encoding: u8, compressed: u8) -> Vec<u8> {
        let head = [0x15, 0x06, 0x15, 0xc8, 0x01, 0x15, 0x90, 0x03, 0x5c];
        let inner = [0x15, 0x0a, 0x15, 0x00, 0x15, 0x0a, 0x15, encoding << 1];
        let levels = [0x15, 0x00, 0x15, 0x00, 0x10 | compressed];
        [&head[..], &inner, &levels, &[0, 0]].concat()
    }

    /// A dictionary of this many values in 100 bytes.
    fn dictionary(values: u8) -> Vec<u8> {
        let head = [0x15, 0x04, 0x15, 0xc8, 0x01, 0x15, 0x90, 0x03, 0x4c];
        [&head[..], &[0x15, values << 1, 0x15, 0x00, 0, 0]].concat()
    }

    #[test]
    fn what_stands_in_a_header() {
        let header = Header::parse(&data()).unwrap();
        assert_eq!((header.plain, header.stored), (100, 200));
        assert_eq!((header.stored_at.clone(), header.length), (6..8, 19));
        assert!(header.is_of(PageId::Data(0)) && !header.is_of(PageId::Dictionary));
        assert!(!header.delta_strings && !header.raw);
        let longer = [&data()[..], b"body"].concat();
        assert_eq!(Header::parse(&longer), Ok(header));
        assert!(
            Header::parse(&dictionary(5))
                .unwrap()
                .is_of(PageId::Dictionary)
        );
        let delta = Header::parse(&version_2(7, kind::TRUE)).unwrap();
        assert!(delta.delta_strings && delta.is_of(PageId::Data(3)));
    }

    #[test]
    fn a_body_has_the_size_that_it_says() {
        let compressed = Header::parse(&version_2(0, kind::TRUE)).unwrap();
        let raw = Header::parse(&version_2(0, kind::FALSE)).unwrap();
        for (body, if_compressed, if_raw) in [
            (-1, false, false),
            (0, false, false),
            (99, true, false),
            (100, true, true),
            (101, true, false),
        ] {
            assert_eq!(compressed.fits(body), if_compressed, "{body}");
            assert_eq!(raw.fits(body), if_raw, "{body}");
        }
    }

    #[test]
    fn a_header_is_read_in_one_way_only() {
        assert_eq!(
            Header::parse(&dictionary(60)).unwrap().kind,
            Kind::Dictionary
        );
        let big = [
            &dictionary(0)[..10],
            // 801 values in 100 bytes.
            &[0xc2, 0x0c, 0x15, 0x00, 0, 0],
        ]
        .concat();
        assert_eq!(Header::parse(&big), Err(BadThrift));
        for (what, from, to, put) in [
            ("an index page", 1, 2, &[0x02][..]),
            ("a kind that there is not", 1, 2, &[0x08]),
            ("the part of another kind", 1, 2, &[0x06]),
            ("no kind", 0, 2, &[]),
            ("no plain size", 2, 5, &[]),
            ("a plain size below zero", 3, 5, &[0x63]),
            (
                "the largest plain size",
                3,
                5,
                &[0xfe, 0xff, 0xff, 0xff, 0x0f],
            ),
            ("a size below zero", 6, 8, &[0x63]),
            ("a size of another kind", 5, 6, &[0x16]),
            ("a size twice", 8, 8, &[0x05, 0x06, 0x64]),
            ("a number of values below zero", 10, 11, &[0x09]),
            ("no number of values", 9, 12, &[0x25]),
            ("an encoding twice", 13, 13, &[0x05, 0x04, 0x0e]),
            ("an encoding of another kind", 11, 12, &[0x16]),
            ("no end", 18, 19, &[]),
            ("an end that is none", 18, 19, &[0x10]),
        ] {
            let mut bad = data();
            bad.splice(from..to, put.iter().copied());
            assert_eq!(Header::parse(&bad), Err(BadThrift), "{what}");
        }
        for cut in 0..data().len() {
            let cut = data().into_iter().take(cut).collect::<Vec<_>>();
            assert_eq!(Header::parse(&cut), Err(BadThrift));
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
