//! Additional authenticated data: file AAD ‖ module type ‖ row group ‖ column ‖ page ordinal.

/// Longest file AAD, in bytes: prefix and file-unique part.
pub(super) const MAX_FILE_AAD: usize = 512;

/// Module types of Parquet Modular Encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Module {
    Footer = 0,
    ColumnMetadata = 1,
    DataPage = 2,
    DictionaryPage = 3,
    DataPageHeader = 4,
    DictionaryPageHeader = 5,
    BloomFilterHeader = 8,
    BloomFilterBitset = 9,
}

/// Which page of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageId {
    Dictionary,
    Data(i16),
}

/// One module's AAD, built in place: only what changes from module to module is written again.
pub(super) struct Aad {
    bytes: [u8; MAX_FILE_AAD + 7],
    file: usize,
    length: usize,
}

impl Aad {
    /// For modules of one chunk. `None` if the file AAD is too long.
    pub(super) fn new(file_aad: &[u8], row_group: i16, column: i16) -> Option<Self> {
        let file = file_aad.len();
        if file > MAX_FILE_AAD {
            return None;
        }
        let mut bytes = [0; MAX_FILE_AAD + 7];
        bytes.get_mut(..file)?.copy_from_slice(file_aad);
        bytes
            .get_mut(file + 1..file + 3)?
            .copy_from_slice(&row_group.to_le_bytes());
        bytes
            .get_mut(file + 3..file + 5)?
            .copy_from_slice(&column.to_le_bytes());
        Some(Self {
            bytes,
            file,
            length: file,
        })
    }

    /// The footer's AAD.
    pub(super) fn footer(file_aad: &[u8]) -> Option<Self> {
        let mut aad = Self::new(file_aad, 0, 0)?;
        aad.set(Module::Footer, None);
        Some(aad)
    }

    /// Turns to a page's header.
    pub(super) fn header(&mut self, page: PageId) -> &[u8] {
        match page {
            PageId::Dictionary => self.set(Module::DictionaryPageHeader, None),
            PageId::Data(ordinal) => self.set(Module::DataPageHeader, Some(ordinal)),
        }
        self.as_slice()
    }

    /// Turns to a page's body.
    pub(super) fn body(&mut self, page: PageId) -> &[u8] {
        match page {
            PageId::Dictionary => self.set(Module::DictionaryPage, None),
            PageId::Data(ordinal) => self.set(Module::DataPage, Some(ordinal)),
        }
        self.as_slice()
    }

    /// Turns to a module of which a chunk has one.
    pub(super) fn only(&mut self, module: Module) -> &[u8] {
        self.set(module, None);
        self.as_slice()
    }

    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    fn set(&mut self, module: Module, ordinal: Option<i16>) {
        if let Some(kind) = self.bytes.get_mut(self.file) {
            *kind = module as u8;
        }
        self.length = self.file + if module == Module::Footer { 1 } else { 5 };
        if let Some(ordinal) = ordinal
            && let Some(room) = self.bytes.get_mut(self.length..self.length + 2)
        {
            room.copy_from_slice(&ordinal.to_le_bytes());
            self.length += 2;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn as_the_format_says() {
        assert_eq!(Aad::footer(b"file").unwrap().as_slice(), b"file\x00");
        let mut aad = Aad::new(b"file", 258, 3).unwrap();
        assert_eq!(aad.header(PageId::Dictionary), b"file\x05\x02\x01\x03\x00");
        assert_eq!(aad.body(PageId::Dictionary), b"file\x03\x02\x01\x03\x00");
        assert_eq!(
            aad.header(PageId::Data(513)),
            b"file\x04\x02\x01\x03\x00\x01\x02"
        );
        assert_eq!(
            aad.body(PageId::Data(0)),
            b"file\x02\x02\x01\x03\x00\x00\x00"
        );
        assert_eq!(
            aad.only(Module::ColumnMetadata),
            b"file\x01\x02\x01\x03\x00"
        );
        assert_eq!(
            aad.only(Module::BloomFilterBitset),
            b"file\x09\x02\x01\x03\x00"
        );
        assert!(Aad::new(&[0; MAX_FILE_AAD + 1], 0, 0).is_none());
        assert!(Aad::new(&[0; MAX_FILE_AAD], 0, 0).is_some());
    }
}
