//! A chunk read in pieces: remembers the pages passed and the one that was last cut, so that
//! small reads one after the other decrypt nothing twice.

use std::ops::Range;

use zeroize::Zeroizing;

use super::chunks::Chunk;
use super::error::LakeError;
use super::pages::{Page, Pages, Walk};

/// A walk through one chunk, kept between reads.
pub(super) struct Cursor {
    walk: Walk,
    pages: Vec<Passed>,
    /// The plaintext headers of `pages`, one after the other.
    headers: Vec<u8>,
    /// The body last cut by a read: index into `pages`, plaintext.
    open: Option<(usize, Zeroizing<Vec<u8>>)>,
}

struct Passed {
    page: Page,
    /// Where its header begins in the plaintext chunk.
    plain: u64,
    /// Its header in `headers`.
    header: Range<usize>,
}

impl Cursor {
    /// At the chunk's start.
    pub(super) fn new(chunk: &Chunk) -> Self {
        Self {
            walk: Walk::new(chunk),
            pages: Vec::new(),
            headers: Vec::new(),
            open: None,
        }
    }

    /// Bytes of plaintext and tables that it holds.
    pub(super) fn held(&self) -> usize {
        self.headers.len()
            + self.pages.len() * size_of::<Passed>()
            + self.open.as_ref().map_or(0, |(_, body)| body.len())
    }

    /// Whether a read up to `end` leaves nothing more to read.
    pub(super) fn done(&self, chunk: &Chunk, end: u64) -> bool {
        self.walk.ended(chunk) && end >= self.walk.plain
    }

    /// Fills `out` with the chunk's plaintext from `from` on; zeros behind its end.
    pub(super) fn read(
        &mut self,
        pages: &mut Pages<'_>,
        from: u64,
        out: &mut [u8],
    ) -> Result<(), LakeError> {
        let end = from + out.len() as u64;
        while self.walk.plain < end && !self.walk.ended(pages.chunk) {
            self.advance(pages)?;
        }
        out.fill(0);
        let first = self.pages.partition_point(|passed| passed.end() <= from);
        for at in first..self.pages.len() {
            let Some(passed) = self.pages.get(at).filter(|passed| passed.plain < end) else {
                break;
            };
            if let Some(header) = self.headers.get(passed.header.clone()) {
                copy(header, passed.plain, from, out);
            }
            let body_from = passed.plain + passed.header.len() as u64;
            let page = passed.page;
            match place(body_from, page.body, from, out.len()) {
                Place::Outside => {}
                Place::Inside(range) => {
                    let body = out.get_mut(range).ok_or(LakeError::Truncated)?;
                    pages.open(&page, body)?;
                }
                Place::Cut => copy(self.body(at, &page, pages)?, body_from, from, out),
            }
        }
        Ok(())
    }

    fn advance(&mut self, pages: &mut Pages<'_>) -> Result<(), LakeError> {
        let plain = self.walk.plain;
        let length = pages.header_length(&self.walk)?;
        let from = self.headers.len();
        self.headers.resize(from + length, 0);
        let header = self.headers.get_mut(from..).ok_or(LakeError::Truncated)?;
        match pages.step(&mut self.walk, header) {
            Ok(page) => {
                self.pages.push(Passed {
                    page,
                    plain,
                    header: from..from + length,
                });
                Ok(())
            }
            Err(error) => {
                self.headers.truncate(from);
                Err(error)
            }
        }
    }

    fn body(&mut self, at: usize, page: &Page, pages: &mut Pages<'_>) -> Result<&[u8], LakeError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
            self.open = None;
            let mut body = Zeroizing::new(vec![0; page.body]);
            pages.open(page, &mut body)?;
            self.open = Some((at, body));
        }
        Ok(self.open.as_ref().map_or(&[], |(_, body)| body.as_slice()))
    }
}

impl Passed {
    fn end(&self) -> u64 {
        self.plain + (self.header.len() + self.page.body) as u64
    }
}

enum Place {
    Outside,
    Inside(Range<usize>),
    Cut,
}

/// How `length` bytes at `at` lie to a read of `room` bytes at `from`.
fn place(at: u64, length: usize, from: u64, room: usize) -> Place {
    let end = at + length as u64;
    let read_end = from + room as u64;
    if end <= from || at >= read_end {
        return Place::Outside;
    }
    match at
        .checked_sub(from)
        .and_then(|skip| usize::try_from(skip).ok())
    {
        Some(skip) if end <= read_end => Place::Inside(skip..skip + length),
        _ => Place::Cut,
    }
}

/// Copies what of `bytes`, which begin at `at`, falls into `out`, which begins at `from`.
fn copy(bytes: &[u8], at: u64, from: u64, out: &mut [u8]) {
    let skip = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
    let lead = usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX);
    if let (Some(bytes), Some(room)) = (bytes.get(skip..), out.get_mut(lead..)) {
        let length = bytes.len().min(room.len());
        if let (Some(bytes), Some(room)) = (bytes.get(..length), room.get_mut(..length)) {
            room.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn copy_is_what_a_slow_copy_does(at in 0_u64..40, length in 0_usize..30, from in 0_u64..40, room in 0_usize..30) {
            let bytes: Vec<u8> = (1..=u8::try_from(length).unwrap_or(0)).collect();
            let mut out = vec![0; room];
            copy(&bytes, at, from, &mut out);
            for (i, byte) in out.iter().enumerate() {
                let wanted = (from + i as u64)
                    .checked_sub(at)
                    .and_then(|i| bytes.get(usize::try_from(i).unwrap_or(usize::MAX)));
                prop_assert_eq!(*byte, wanted.copied().unwrap_or(0));
            }
        }
    }
}
