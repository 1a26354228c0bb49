//! As much of Thrift's compact protocol as Parquet's footers and headers need. Bounded: reading
//! allocates nothing, every length is checked against what is there, nesting ends at a fixed depth.

/// Not well-formed Thrift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadThrift;

type Result<T> = std::result::Result<T, BadThrift>;

const MAX_DEPTH: u8 = 16;

/// Field types of the compact protocol.
pub(super) mod kind {
    pub(in super::super) const TRUE: u8 = 1;
    pub(in super::super) const FALSE: u8 = 2;
    pub(in super::super) const I16: u8 = 4;
    pub(in super::super) const I32: u8 = 5;
    pub(in super::super) const I64: u8 = 6;
    pub(in super::super) const BINARY: u8 = 8;
    pub(in super::super) const LIST: u8 = 9;
    pub(in super::super) const STRUCT: u8 = 12;
}

/// One field's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its number in the structure.
    pub(super) id: i16,
    /// One of [`kind`], or another.
    pub(super) kind: u8,
}

/// Reads from a slice.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next field of a structure; `None` at its end.
    pub(super) fn field(&mut self, last: i16) -> Result<Option<Field>> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == 0 {
            return if head == 0 { Ok(None) } else { Err(BadThrift) };
        }
        let id = match i16::from(head >> 4) {
            0 => i16::try_from(self.zigzag()?).map_err(|_| BadThrift)?,
            delta => last.checked_add(delta).ok_or(BadThrift)?,
        };
        Ok(Some(Field { id, kind }))
    }

    /// The next field of a structure whose fields stand in the order of their numbers, each once;
    /// `None` at its end.
    pub(super) fn next(&mut self, last: &mut i16) -> Result<Option<Field>> {
        let field = self.field(*last)?;
        if let Some(field) = field {
            if field.id <= *last {
                return Err(BadThrift);
            }
            *last = field.id;
        }
        Ok(field)
    }

    /// Passes over a field's value and gives its bytes.
    pub(super) fn raw(&mut self, kind: u8) -> Result<&'a [u8]> {
        let from = self.at;
        self.skip(kind)?;
        self.bytes.get(from..self.at).ok_or(BadThrift)
    }

    /// A list's head: the kind of its elements and their number, which nothing bounds yet.
    pub(super) fn list(&mut self) -> Result<(u8, u64)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        Ok((head & 0x0f, count))
    }

    /// The head of a list of structures: their number.
    pub(super) fn structs(&mut self) -> Result<u64> {
        match self.list()? {
            (kind::STRUCT, count) => Ok(count),
            // An empty list may say anything.
            (_, 0) => Ok(0),
            _ => Err(BadThrift),
        }
    }

    /// A 64-bit number.
    pub(super) fn i64(&mut self) -> Result<i64> {
        self.zigzag()
    }

    /// A 16-bit number.
    pub(super) fn i16(&mut self) -> Result<i16> {
        i16::try_from(self.zigzag()?).map_err(|_| BadThrift)
    }

    /// A 32-bit number.
    pub(super) fn i32(&mut self) -> Result<i32> {
        i32::try_from(self.zigzag()?).map_err(|_| BadThrift)
    }

    /// A byte string of at most `cap` bytes.
    pub(super) fn binary(&mut self, cap: usize) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| BadThrift)?;
        if length > cap {
            return Err(BadThrift);
        }
        self.take(length)
    }

    /// Passes over a field's value.
    pub(super) fn skip(&mut self, kind: u8) -> Result<()> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: u8, depth: u8) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(BadThrift);
        }
        match kind {
            kind::TRUE | kind::FALSE => Ok(()),
            3 => self.take(1).map(drop),
            kind::I16..=kind::I64 => self.varint().map(drop),
            7 => self.take(8).map(drop),
            kind::BINARY => self.binary(usize::MAX).map(drop),
            kind::LIST | 10 => {
                let (element, count) = self.list()?;
                // A bool takes a byte here, so every element takes at least one.
                if let kind::TRUE | kind::FALSE = element {
                    let count = usize::try_from(count).map_err(|_| BadThrift)?;
                    return self.take(count).map(drop);
                }
                for _ in 0..count {
                    self.skip_at(element, depth + 1)?;
                }
                Ok(())
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    self.skip_at(field.kind, depth + 1)?;
                    last = field.id;
                }
                Ok(())
            }
            // Maps occur in neither structure.
            _ => Err(BadThrift),
        }
    }

    fn zigzag(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(BadThrift);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadThrift)
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or(BadThrift)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(BadThrift)?;
        let bytes = self.bytes.get(self.at..end).ok_or(BadThrift)?;
        self.at = end;
        Ok(bytes)
    }
}

/// Writes `value` as a zigzag varint that fills `room` exactly, padded with bytes that add
/// nothing; `false` if it does not fit.
pub(super) fn write_padded_i32(value: i32, room: &mut [u8]) -> bool {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned();
    let Some((last, first)) = room.split_last_mut() else {
        return false;
    };
    for byte in first {
        *byte = 0x80 | u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
    }
    match u8::try_from(rest) {
        Ok(rest) if rest < 0x80 => {
            *last = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_varints() {
        for (bytes, value) in [
            (&[0x00_u8][..], 0),
            (&[0x01], -1),
            (&[0x02], 1),
            (&[0xac, 0x02], 150),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], i32::MAX),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], i32::MIN),
            (&[0x82, 0x80, 0x00], 1),
        ] {
            assert_eq!(Compact::new(bytes).i32(), Ok(value));
        }
        assert_eq!(Compact::new(&[0x80]).i32(), Err(BadThrift));
        assert_eq!(Compact::new(&[0xff; 11]).i32(), Err(BadThrift));
    }

    #[test]
    fn nesting_ends() {
        let deep = [0x1c; 64];
        assert_eq!(Compact::new(&deep).skip(kind::STRUCT), Err(BadThrift));
    }

    proptest! {
        #[test]
        fn padded_numbers_read_back(value: i32, width in 1_usize..7) {
            let mut room = vec![0; width];
            if write_padded_i32(value, &mut room) {
                let mut read = Compact::new(&room);
                prop_assert_eq!(read.i32(), Ok(value));
                prop_assert_eq!(read.at(), width);
            } else {
                prop_assert!(width < 5);
            }
        }

        #[test]
        fn noise_never_panics_nor_runs_away(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..16) {
            let mut read = Compact::new(&bytes);
            let _ = read.skip(kind);
            prop_assert!(read.at() <= bytes.len());
        }
    }
}
