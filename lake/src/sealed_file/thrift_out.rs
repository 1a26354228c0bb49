//! Writing Thrift's compact protocol.

use super::thrift::{Field, kind};

/// What was written so far.
#[derive(Default)]
pub(super) struct Out(Vec<u8>);

impl Out {
    /// A field's start; `last` is the number of the field before it in the structure.
    pub(super) fn field(&mut self, last: &mut i16, id: i16, kind: u8) {
        match id.checked_sub(*last).map(u8::try_from) {
            Some(Ok(delta @ 1..=15)) => self.0.push(delta << 4 | kind),
            _ => {
                self.0.push(kind);
                self.zigzag(id.into());
            }
        }
        *last = id;
    }

    /// A field with its value as it was read.
    pub(super) fn copy(&mut self, last: &mut i16, (field, value): (Field, &[u8])) {
        self.field(last, field.id, field.kind);
        self.0.extend_from_slice(value);
    }

    /// A number as a field.
    pub(super) fn i64(&mut self, last: &mut i16, id: i16, value: i64) {
        self.field(last, id, kind::I64);
        self.zigzag(value);
    }

    /// A number as a field.
    pub(super) fn i32(&mut self, last: &mut i16, id: i16, value: i32) {
        self.field(last, id, kind::I32);
        self.zigzag(value.into());
    }

    /// The head of a list.
    pub(super) fn list(&mut self, element: u8, count: usize) {
        if let Ok(count @ 0..15) = u8::try_from(count) {
            self.0.push(count << 4 | element);
        } else {
            self.0.push(0xf0 | element);
            self.varint(count as u64);
        }
    }

    /// A byte string, without a field's start.
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A number, without a field's start.
    pub(super) fn zigzag(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63).cast_unsigned());
    }

    /// The end of a structure.
    pub(super) fn stop(&mut self) {
        self.0.push(0);
    }

    /// All of it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(0x80 | u8::try_from(value & 0x7f).unwrap_or(0));
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or(0));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::thrift::Compact;
    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(ids in prop::collection::btree_set(1..=i16::MAX, 0..20), number: i64, small: i32, text: Vec<u8>, count in 0_usize..40) {
            let mut out = Out::default();
            let mut last = 0;
            for id in &ids {
                out.i64(&mut last, *id, number);
            }
            out.i32(&mut last, 1, small);
            out.field(&mut last, 2, kind::BINARY);
            out.binary(&text);
            out.field(&mut last, 3, kind::LIST);
            out.list(kind::I32, count);
            (0..count).for_each(|_| out.zigzag(small.into()));
            out.stop();
            let bytes = out.into_bytes();
            let mut read = Compact::new(&bytes);
            let mut last = 0;
            for id in &ids {
                prop_assert_eq!(read.next(&mut last), Ok(Some(Field { id: *id, kind: kind::I64 })));
                prop_assert_eq!(read.i64(), Ok(number));
            }
            prop_assert_eq!(read.field(last).unwrap().unwrap().id, 1);
            prop_assert_eq!(read.i32(), Ok(small));
            let mut last = 1;
            prop_assert_eq!(read.next(&mut last).unwrap().unwrap().id, 2);
            prop_assert_eq!(read.binary(usize::MAX), Ok(&text[..]));
            prop_assert_eq!(read.next(&mut last).unwrap().unwrap().id, 3);
            prop_assert_eq!(read.list(), Ok((kind::I32, count as u64)));
            for _ in 0..count {
                prop_assert_eq!(read.i32(), Ok(small));
            }
            prop_assert_eq!(read.next(&mut last), Ok(None));
            prop_assert_eq!(read.at(), bytes.len());
        }
    }
}
