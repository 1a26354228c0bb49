//! Walking a chunk from page to page: header module, body module, and so on to the end.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::aad::{Aad, PageId};
use super::chunks::{Chunk, Protection};
use super::cipher::Cipher;
use super::counters::Counts;
use super::error::LakeError;
use super::modules::{self, LENGTH, NONCE, OVERHEAD};
use super::thrift::{BadThrift, Compact, kind, write_padded_i32};
use super::window::Window;

/// Longest page header, in bytes: bounds of long strings may stand in it.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// Where a walk stands.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Stored bytes passed.
    pub(super) stored: u64,
    /// Plaintext bytes passed.
    pub(super) plain: u64,
    next: PageId,
}

/// One page that a walk came by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) id: PageId,
    /// Plaintext length of the body.
    pub(super) body: usize,
    /// Where the body's module is, from the chunk's start.
    pub(super) body_at: u64,
}

/// The encrypted pages of one chunk, with all that opens them.
pub(super) struct Pages<'a> {
    pub(super) chunk: &'a Chunk,
    path: &'a str,
    cipher: &'a Cipher,
    ctr: bool,
    aad: Aad,
    window: Window<'a>,
    counts: &'a Counts,
    opened: u64,
    bytes: u64,
}

impl Walk {
    /// At the chunk's first page.
    pub(super) fn new(chunk: &Chunk) -> Self {
        let next = if chunk.dictionary {
            PageId::Dictionary
        } else {
            PageId::Data(0)
        };
        Self {
            stored: 0,
            plain: 0,
            next,
        }
    }

    /// Whether all pages were passed.
    pub(super) fn ended(&self, chunk: &Chunk) -> bool {
        self.stored >= chunk.stored
    }
}

impl<'a> Pages<'a> {
    /// Of a chunk that is encrypted; `None` if it is not.
    pub(super) fn new(
        chunk: &'a Chunk,
        path: &'a str,
        file_aad: &[u8],
        window: Window<'a>,
        counts: &'a Counts,
    ) -> Option<Self> {
        let (cipher, ctr) = match &chunk.protection {
            Protection::Gcm(cipher) => (Arc::as_ref(cipher), false),
            Protection::Ctr(cipher) => (Arc::as_ref(cipher), true),
            Protection::Clear => return None,
        };
        Some(Self {
            chunk,
            path,
            cipher,
            ctr,
            aad: Aad::new(file_aad, chunk.row_group, chunk.column)?,
            window,
            counts,
            opened: 0,
            bytes: 0,
        })
    }

    /// The size of the next header's plaintext.
    pub(super) fn header_length(&mut self, walk: &Walk) -> Result<usize, LakeError> {
        let size = modules::size(self.window.get(walk.stored, LENGTH)?)
            .filter(|size| *size <= MAX_HEADER)
            .ok_or_else(|| self.tampered(walk.next))?;
        Ok(size - OVERHEAD)
    }

    /// Decrypts the next header into `out`, of exactly its length, with the size of the plaintext
    /// body in it, and steps over header and body.
    pub(super) fn step(&mut self, walk: &mut Walk, out: &mut [u8]) -> Result<Page, LakeError> {
        let id = walk.next;
        let module = self.window.get(walk.stored, out.len() + OVERHEAD)?;
        self.cipher
            .open(module, self.aad.header(id), out)
            .ok_or_else(|| self.tampered(id))?;
        self.bytes += out.len() as u64;
        let overhead = self.body_overhead();
        let stored_body = resize(out, id, overhead).ok_or_else(|| self.malformed())?;
        let body_at = walk.stored + (out.len() + OVERHEAD) as u64;
        let end = body_at + stored_body as u64;
        if end > self.chunk.stored {
            return Err(self.malformed());
        }
        let body = stored_body - overhead;
        walk.stored = end;
        walk.plain += (out.len() + body) as u64;
        walk.next = match id {
            PageId::Dictionary => PageId::Data(0),
            PageId::Data(ordinal) => {
                PageId::Data(ordinal.checked_add(1).ok_or_else(|| self.malformed())?)
            }
        };
        if walk.ended(self.chunk) && self.chunk.exact.is_some_and(|exact| exact != walk.plain) {
            return Err(self.malformed());
        }
        Ok(Page { id, body, body_at })
    }

    /// Decrypts a page's body into `out`, of exactly its length.
    pub(super) fn open(&mut self, page: &Page, out: &mut [u8]) -> Result<(), LakeError> {
        let module = self
            .window
            .get(page.body_at, page.body + self.body_overhead())?;
        let opened = if self.ctr {
            self.cipher.decrypt(module, out)
        } else {
            self.cipher.open(module, self.aad.body(page.id), out)
        };
        opened.ok_or_else(|| self.tampered(page.id))?;
        self.opened += 1;
        self.bytes += out.len() as u64;
        Ok(())
    }

    /// Whether the body of the first page, which should be under AES-CTR, opens as AES-GCM.
    pub(super) fn first_is_tagged(&mut self) -> Result<bool, LakeError> {
        let mut walk = Walk::new(self.chunk);
        let mut header = vec![0; self.header_length(&walk)?];
        let page = self.step(&mut walk, &mut header)?;
        let stored = page.body + self.body_overhead();
        let Some(length) = stored.checked_sub(OVERHEAD) else {
            return Ok(false);
        };
        let module = self.window.get(page.body_at, stored)?;
        let mut body = Zeroizing::new(vec![0; length]);
        let opened = self.cipher.open(module, self.aad.body(page.id), &mut body);
        Ok(opened.is_some())
    }

    fn body_overhead(&self) -> usize {
        if self.ctr { LENGTH + NONCE } else { OVERHEAD }
    }

    fn tampered(&self, page: PageId) -> LakeError {
        LakeError::Tampered {
            row_group: self.chunk.row_group,
            column: self.path.into(),
            page: match page {
                PageId::Dictionary => "dictionary".into(),
                PageId::Data(ordinal) => ordinal.to_string(),
            },
        }
    }

    fn malformed(&self) -> LakeError {
        LakeError::PageForm {
            row_group: self.chunk.row_group,
            column: self.path.into(),
        }
    }
}

impl Drop for Pages<'_> {
    fn drop(&mut self) {
        self.counts.add(self.opened, self.bytes);
    }
}

/// Puts the plaintext body's size into a header in place, same width, and gives the stored size.
fn resize(header: &mut [u8], id: PageId, overhead: usize) -> Option<usize> {
    let (stored, place) = compressed_size(header, id).ok()?;
    let plain = stored
        .checked_sub(i32::try_from(overhead).ok()?)
        .filter(|size| *size >= 0)?;
    write_padded_i32(plain, header.get_mut(place)?).then_some(())?;
    usize::try_from(stored).ok()
}

/// `compressed_page_size` of a page header of the right kind, and where it stands.
pub(super) fn compressed_size(
    header: &[u8],
    id: PageId,
) -> Result<(i32, std::ops::Range<usize>), BadThrift> {
    const DATA: i32 = 0;
    const DICTIONARY: i32 = 2;
    const DATA_V2: i32 = 3;
    let mut read = Compact::new(header);
    let mut last = 0;
    let mut found = None;
    let mut fits = false;
    while let Some(field) = read.field(last)? {
        match (field.id, field.kind) {
            (1, kind::I32) => {
                let page = read.i32()?;
                fits = match id {
                    PageId::Dictionary => page == DICTIONARY,
                    PageId::Data(_) => page == DATA || page == DATA_V2,
                };
            }
            (3, kind::I32) if found.is_none() => {
                let from = read.at();
                let size = read.i32()?;
                found = Some((size, from..read.at()));
            }
            (1 | 3, _) => return Err(BadThrift),
            _ => read.skip(field.kind)?,
        }
        last = field.id;
    }
    if !fits || read.at() != header.len() {
        return Err(BadThrift);
    }
    found.ok_or(BadThrift)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A data page header: type 0, sizes 100 and 200, an empty structure, end.
    const HEADER: &[u8] = b"\x15\x00\x15\xc8\x01\x15\x90\x03\x2c\x00\x00";

    #[test]
    fn the_size_is_replaced_in_place() {
        let mut header = HEADER.to_vec();
        assert_eq!(resize(&mut header, PageId::Data(0), OVERHEAD), Some(200));
        assert_eq!(header.len(), HEADER.len());
        assert_eq!(compressed_size(&header, PageId::Data(0)).unwrap().0, 168);
        assert_eq!(
            resize(&mut HEADER.to_vec(), PageId::Dictionary, OVERHEAD),
            None
        );
        let mut tiny = HEADER.to_vec();
        tiny.splice(6..8, [62]);
        assert_eq!(resize(&mut tiny, PageId::Data(0), OVERHEAD), None);
        for cut in 0..HEADER.len() {
            assert_eq!(
                resize(
                    HEADER.to_vec().get_mut(..cut).unwrap(),
                    PageId::Data(0),
                    OVERHEAD
                ),
                None
            );
        }
    }
}
