//! Opening a sealed file and reading its virtual plaintext.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use duckblind_protocol::ids::{Digest, Hasher};

use super::cache::Cache;
use super::chunks::{Chunk, Protection};
use super::counters::{Counters, Counts};
use super::cursor::Cursor;
use super::error::LakeError;
use super::footer::{self, PLAIN};
use super::inspect::ColumnProtection;
use super::layout::{Content, Slot};
use super::pages::Pages;
use super::source::ReadAt;
use super::spec::FileSpec;
use super::verify::Verifier;
use super::virtual_footer;
use super::whole;
use super::window::{AHEAD, Window};

/// An opened sealed file. Threads may read it at the same time.
pub struct SealedFile {
    source: Arc<dyn ReadAt>,
    file_aad: Vec<u8>,
    slots: Vec<Slot>,
    /// The leaves' paths.
    paths: Vec<String>,
    columns: BTreeMap<String, ColumnProtection>,
    /// By leaf path, to name in errors what is missing.
    key_ids: BTreeMap<String, String>,
    /// Where the stored footer began.
    stored_end: u64,
    footer_start: u64,
    footer: Vec<u8>,
    rows: u64,
    names: Vec<String>,
    digest: Digest,
    version_tag: String,
    verifier: Verifier,
    cache: Cache,
    counts: Counts,
}

/// One column chunk as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChunk<'a> {
    /// The leaf's path.
    pub path: &'a str,
    /// Row group, from 0.
    pub row_group: usize,
    /// Its bytes in the stored file.
    pub range: Range<u64>,
    /// Whether it is in the clear.
    pub clear: bool,
    /// Whether it has bytes without a tag, so that readers need a digest of it.
    pub needs_digest: bool,
}

impl SealedFile {
    /// Checks size, magic, footer digest and keys, and makes the virtual footer.
    pub fn open(source: Arc<dyn ReadAt>, spec: FileSpec) -> Result<Self, LakeError> {
        let got = source.len();
        if let Some(expected) = spec.size.filter(|expected| *expected != got) {
            return Err(LakeError::Size { expected, got });
        }
        let opened = footer::open(
            source.as_ref(),
            spec.keys.footer.as_ref(),
            &spec.aad_prefix,
            spec.footer_digest.as_ref(),
        )?;
        if spec
            .algorithm
            .is_some_and(|promised| promised != opened.algorithm)
        {
            return Err(LakeError::CryptoForm(
                "another algorithm than the manifest says",
            ));
        }
        let (stored_end, digest) = (opened.start, opened.digest);
        let file_aad = opened.file_aad.clone();
        let made = virtual_footer::build(opened, &spec.keys, &spec.columns)?;
        Ok(Self {
            source,
            file_aad,
            slots: made.slots,
            paths: made.paths,
            columns: made.columns,
            key_ids: spec.columns.key_ids,
            stored_end,
            footer_start: made.start,
            footer: made.bytes,
            rows: made.rows,
            names: made.names,
            digest,
            version_tag: digest.to_string(),
            verifier: Verifier::new()?,
            cache: Cache::default(),
            counts: Counts::default(),
        })
    }

    /// Length of the virtual plaintext file, in bytes. Nearly all of it are zeros between things:
    /// see [`Self::places`].
    pub fn virtual_len(&self) -> u64 {
        self.footer_start + self.footer.len() as u64
    }

    /// Where the virtual file has anything but zeros.
    pub fn places(&self) -> impl Iterator<Item = Range<u64>> {
        let things = self.slots.iter().map(|slot| slot.place..slot.end());
        std::iter::once(0..footer::HEAD)
            .chain(things)
            .chain(std::iter::once(self.footer_start..self.virtual_len()))
    }

    /// Changes whenever the content does: the stored footer's digest as hex.
    pub fn version_tag(&self) -> &str {
        &self.version_tag
    }

    /// SHA-256 of the stored footer.
    pub fn footer_digest(&self) -> Digest {
        self.digest
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Names of the top-level columns, in order.
    pub fn column_names(&self) -> &[String] {
        &self.names
    }

    /// How each leaf column is protected, by path; the weakest of its chunks. Empty if there are no
    /// row groups.
    pub fn columns(&self) -> &BTreeMap<String, ColumnProtection> {
        &self.columns
    }

    /// What was decrypted so far.
    pub fn counters(&self) -> Counters {
        self.counts.get()
    }

    /// The stored column chunks, by row group and column. Those whose place only a missing key could
    /// tell are not among them.
    pub fn stored_chunks(&self) -> impl Iterator<Item = StoredChunk<'_>> {
        self.slots.iter().filter_map(|slot| match &slot.content {
            Content::Chunk(chunk) => Some(StoredChunk {
                path: self.path(chunk.column),
                row_group: usize::try_from(chunk.row_group).ok()?,
                range: chunk.start..chunk.end(),
                clear: matches!(chunk.protection, Protection::Clear),
                needs_digest: !chunk.protection.is_tagged(),
            }),
            _ => None,
        })
    }

    /// SHA-256 of every stored chunk that needs one, by leaf path, in the order of the row groups:
    /// what a manifest says of this file.
    pub fn chunk_digests(&self) -> Result<BTreeMap<String, Vec<Digest>>, LakeError> {
        let mut found = BTreeMap::<String, Vec<Digest>>::new();
        let mut buffer = vec![0; AHEAD];
        for chunk in self.stored_chunks().filter(|chunk| chunk.needs_digest) {
            let mut hasher = Hasher::new();
            let mut at = chunk.range.start;
            while at < chunk.range.end {
                let left = usize::try_from(chunk.range.end - at).unwrap_or(AHEAD);
                let room = buffer.get_mut(..left.min(AHEAD)).unwrap_or_default();
                self.source.read_exact_at(room, at)?;
                hasher.update(room);
                at += room.len() as u64;
            }
            let digests = found.entry(chunk.path.to_owned()).or_default();
            digests.push(hasher.finish());
        }
        Ok(found)
    }

    /// Refuses a file that says AES_GCM_CTR_V1 and has pages under AES_GCM_V1. Beside an encrypted
    /// footer nothing authenticates what a file says of its algorithm: where no manifest has it,
    /// somebody may have changed it, and tagged pages would be read as others without a tag.
    pub(crate) fn refuse_tagged_ctr(&self) -> Result<(), LakeError> {
        for slot in &self.slots {
            let Content::Chunk(chunk) = &slot.content else {
                continue;
            };
            if !matches!(chunk.protection, Protection::Ctr(_)) || chunk.stored == 0 {
                continue;
            }
            let path = self.path(chunk.column);
            let window = Window::new(self.source.as_ref(), chunk, path, None, false);
            let pages = Pages::new(chunk, path, &self.file_aad, window, &self.counts);
            if let Some(mut pages) = pages
                && pages.first_is_tagged()?
            {
                return Err(LakeError::CryptoForm(
                    "it says AES_GCM_CTR_V1, and its pages are under AES_GCM_V1",
                ));
            }
        }
        Ok(())
    }

    /// Whether every stored byte between magic and footer belongs to a column chunk.
    pub(crate) fn is_gapless(&self) -> bool {
        let mut ranges: Vec<_> = self.stored_chunks().map(|chunk| chunk.range).collect();
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        let mut free = footer::HEAD;
        for range in ranges {
            if range.start != free {
                return false;
            }
            free = range.end;
        }
        free == self.stored_end
    }

    /// Reads from `offset` of the virtual file and gives the number of bytes read: less than
    /// `buf` has room for at the end of the file only. On failure `buf` holds no plaintext.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        let left = self.virtual_len().saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let out = buf.get_mut(..length).unwrap_or_default();
        match self.fill(out, offset) {
            Ok(()) => Ok(length),
            Err(error) => {
                out.fill(0);
                Err(error)
            }
        }
    }

    fn fill(&self, out: &mut [u8], offset: u64) -> Result<(), LakeError> {
        let mut rest = out;
        let mut at = offset;
        let mut next = self.slots.partition_point(|slot| slot.end() <= offset);
        while !rest.is_empty() {
            let (end, slot) = match self.slots.get(next) {
                Some(slot) if at >= slot.place => (slot.end(), Some(slot)),
                Some(slot) => (slot.place, None),
                None if at < self.footer_start => (self.footer_start, None),
                None => (u64::MAX, None),
            };
            let length = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (piece, after) = rest
                .split_at_mut_checked(length)
                .ok_or(LakeError::Truncated)?;
            match slot {
                Some(slot) => {
                    self.fill_from_slot(next, slot, at - slot.place, piece)?;
                    next += 1;
                }
                None => self.fill_from_rest(at, piece),
            }
            at += length as u64;
            rest = after;
        }
        Ok(())
    }

    fn fill_from_slot(
        &self,
        index: usize,
        slot: &Slot,
        from: u64,
        out: &mut [u8],
    ) -> Result<(), LakeError> {
        match &slot.content {
            _ if out.is_empty() => Ok(()),
            Content::Chunk(chunk) => self.fill_from_chunk(index, chunk, from, out),
            Content::Bloom(bloom) => {
                let plain = bloom
                    .open(self.source.as_ref(), &self.file_aad)?
                    .ok_or_else(|| LakeError::Tampered {
                        row_group: bloom.row_group,
                        column: self.path(bloom.column).to_owned(),
                        page: "(bloom filter)".into(),
                    })?;
                self.counts.add(0, plain.len() as u64);
                copy_from(&plain, from, out);
                Ok(())
            }
            Content::Locked { column } => {
                let column = self.path(*column).to_owned();
                let key_id = self.key_ids.get(&column);
                Err(LakeError::ColumnKeyMissing {
                    key_id: key_id.map_or("unknown", String::as_str).into(),
                    column,
                })
            }
        }
    }

    fn fill_from_chunk(
        &self,
        index: usize,
        chunk: &Chunk,
        from: u64,
        out: &mut [u8],
    ) -> Result<(), LakeError> {
        let source = self.source.as_ref();
        let path = self.path(chunk.column);
        let number = u32::try_from(index).map_err(|_| LakeError::Layout("too many chunks"))?;
        let blocks = self.verifier.check(source, chunk, path, number)?;
        let whole = from == 0 && whole::covers(chunk, out.len() as u64);
        let mut window = Window::new(source, chunk, path, blocks, whole);
        if let Protection::Clear = chunk.protection {
            self.counts.add(0, out.len() as u64);
            return whole::copy(&mut window, from, out);
        }
        let mut pages = Pages::new(chunk, path, &self.file_aad, window, &self.counts)
            .ok_or(LakeError::CryptoForm("the AAD is too long"))?;
        if whole {
            return whole::decrypt(&mut pages, out);
        }
        let mut cursor = self.cache.take(index).unwrap_or_else(|| Cursor::new(chunk));
        cursor.read(&mut pages, from, out)?;
        if !cursor.done(chunk, from + out.len() as u64) {
            self.cache.put(index, cursor);
        }
        Ok(())
    }

    /// The magic, the gaps, the footer.
    fn fill_from_rest(&self, at: u64, out: &mut [u8]) {
        match at.checked_sub(self.footer_start) {
            Some(from) => copy_from(&self.footer, from, out),
            None => copy_from(PLAIN, at, out),
        }
    }

    fn path(&self, column: i16) -> &str {
        usize::try_from(column)
            .ok()
            .and_then(|at| self.paths.get(at))
            .map_or("", String::as_str)
    }

    /// Cursors kept for later reads.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.cache.len()
    }

    /// What lies where.
    #[cfg(test)]
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// Fills `out` with `bytes` from `from` on, and with zeros behind their end.
fn copy_from(bytes: &[u8], from: u64, out: &mut [u8]) {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let bytes = bytes.get(from..).unwrap_or(&[]);
    let length = bytes.len().min(out.len());
    let (room, rest) = out.split_at_mut(length);
    room.copy_from_slice(bytes.get(..length).unwrap_or(&[]));
    rest.fill(0);
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile")
            .field("virtual_len", &self.virtual_len())
            .field("rows", &self.rows)
            .field("version_tag", &self.version_tag)
            .finish_non_exhaustive()
    }
}
