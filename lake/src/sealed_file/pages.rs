//! Walking a chunk from page to page: header module, body module, and so on to the end.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::aad::{Aad, PageId};
use super::chunks::{Chunk, Protection};
use super::cipher::Cipher;
use super::counters::Counts;
use super::error::LakeError;
use super::modules::{self, LENGTH, NONCE, OVERHEAD};
use super::page_header::{Header, MAX_HEADER};
use super::thrift::write_padded_i32;
use super::window::Window;

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
        let stored_body = Header::parse(out)
            .ok()
            .filter(|header| header.length == out.len() && header.is_of(id))
            .filter(|header| self.chunk.may_have(header))
            .and_then(|header| resize(out, &header, overhead))
            .ok_or_else(|| self.malformed())?;
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

/// Puts the plaintext body's size into its header in place, same width, and gives the stored size.
fn resize(bytes: &mut [u8], header: &Header, overhead: usize) -> Option<usize> {
    let plain = header
        .stored
        .checked_sub(i32::try_from(overhead).ok()?)
        .filter(|body| header.fits(*body))?;
    write_padded_i32(plain, bytes.get_mut(header.stored_at.clone())?).then_some(())?;
    usize::try_from(header.stored).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::page_header::tests::DATA;
    use super::*;

    #[test]
    fn the_size_is_replaced_in_place() {
        let mut bytes = [&DATA[..], &[0]].concat();
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(resize(&mut bytes, &header, OVERHEAD), Some(200));
        let resized = Header::parse(&bytes).unwrap();
        assert_eq!(resized.length, bytes.len());
        assert_eq!(resized.stored, 168);
        // More than there is.
        assert!(resize(&mut bytes, &resized, 168 + 1).is_none());
        // Nothing is left of 100 bytes.
        assert!(resize(&mut bytes, &resized, 168).is_none());
    }
}
