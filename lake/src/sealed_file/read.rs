//! Opening a sealed file and reading its virtual plaintext.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;
use duckblind_protocol::ids::Digest;

use super::cache::Cache;
use super::chunks::Chunk;
use super::cursor::Cursor;
use super::error::LakeError;
use super::footer::{self, PLAIN};
use super::source::ReadAt;
use super::virtual_footer;
use super::whole;
use crate::keys::{DataKey, FileKeys};

/// Where the AAD prefix of a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AadPrefix {
    /// From the signed manifest. A prefix that the file stores must be the same.
    Supplied(Vec<u8>),
    /// From the file itself, which must store one.
    Stored,
    /// The file was written without one.
    None,
}

/// What is known of a file before it is opened.
pub struct FileSpec {
    /// Its data keys; the keys' labels name them in errors.
    pub keys: FileKeys,
    /// Its AAD prefix.
    pub aad_prefix: AadPrefix,
    /// SHA-256 of its stored footer, from the manifest.
    pub footer_digest: Option<Digest>,
    /// Its size in bytes, from the manifest.
    pub size: Option<u64>,
    /// What the manifest says of its columns.
    pub columns: ColumnRules,
}

impl FileSpec {
    /// A file of which nothing is known but one key for everything in it, and its AAD prefix.
    pub fn uniform(key: DataKey, aad_prefix: AadPrefix) -> Self {
        Self {
            keys: FileKeys::uniform(key),
            aad_prefix,
            footer_digest: None,
            size: None,
            columns: ColumnRules::default(),
        }
    }
}

/// What the manifest says of a file's leaf columns, by path. By default every column must be
/// encrypted and nothing is known of chunks without tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRules {
    /// Columns that may be in the clear. Any other column in the clear is a downgrade.
    pub clear: BTreeSet<String>,
    /// Key ids, to name in errors what is missing.
    pub key_ids: BTreeMap<String, String>,
    /// SHA-256 per stored column chunk, in the order of the row groups.
    pub digests: BTreeMap<String, Vec<Digest>>,
    /// Columns that may be read although nothing authenticates them.
    pub accept_unauthenticated: BTreeSet<String>,
}

/// An opened sealed file. Threads may read it at the same time.
pub struct SealedFile {
    source: Arc<dyn ReadAt>,
    key: LessSafeKey,
    file_aad: Vec<u8>,
    chunks: Vec<Chunk>,
    footer_start: u64,
    footer: Vec<u8>,
    rows: u64,
    columns: Vec<String>,
    digest: Digest,
    version_tag: String,
    cache: Cache,
}

impl SealedFile {
    /// Checks size, magic, footer digest and key, and makes the virtual footer.
    pub fn open(source: Arc<dyn ReadAt>, spec: FileSpec) -> Result<Self, LakeError> {
        let got = source.len();
        if let Some(expected) = spec.size.filter(|expected| *expected != got) {
            return Err(LakeError::Size { expected, got });
        }
        let Some(key) = &spec.keys.footer else {
            return Err(LakeError::KeyWrong {
                key: "footer".into(),
            });
        };
        let opened = footer::open(
            source.as_ref(),
            key,
            &spec.aad_prefix,
            spec.footer_digest.as_ref(),
        )?;
        let made = virtual_footer::build(&opened.plaintext, opened.start)?;
        Ok(Self {
            source,
            key: opened.key,
            file_aad: opened.file_aad,
            chunks: made.chunks,
            footer_start: opened.start,
            footer: made.bytes,
            rows: made.rows,
            columns: made.columns,
            digest: opened.digest,
            version_tag: opened.digest.to_string(),
            cache: Cache::default(),
        })
    }

    /// Length of the virtual plaintext file, in bytes.
    pub fn virtual_len(&self) -> u64 {
        self.footer_start + self.footer.len() as u64
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

    /// Names of its top-level columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether every stored byte between magic and footer belongs to an encrypted column chunk.
    pub(crate) fn is_gapless(&self) -> bool {
        let mut free = footer::HEAD;
        for chunk in &self.chunks {
            if chunk.start != free {
                return false;
            }
            free = chunk.end();
        }
        free == self.footer_start
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
        let mut next = self.chunks.partition_point(|chunk| chunk.end() <= offset);
        while !rest.is_empty() {
            let (end, chunk) = match self.chunks.get(next) {
                Some(chunk) if at >= chunk.start => (chunk.end(), Some(chunk)),
                Some(chunk) => (chunk.start, None),
                None if at < self.footer_start => (self.footer_start, None),
                None => (u64::MAX, None),
            };
            let length = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (piece, after) = rest
                .split_at_mut_checked(length)
                .ok_or(LakeError::Truncated)?;
            match chunk {
                Some(chunk) => {
                    self.fill_from_chunk(next, chunk, at - chunk.start, piece)?;
                    next += 1;
                }
                None => self.fill_from_rest(at, piece),
            }
            at += length as u64;
            rest = after;
        }
        Ok(())
    }

    fn fill_from_chunk(
        &self,
        index: usize,
        chunk: &Chunk,
        from: u64,
        out: &mut [u8],
    ) -> Result<(), LakeError> {
        let source = self.source.as_ref();
        if from == 0 && whole::covers(chunk, out.len() as u64) {
            return whole::decrypt(source, &self.key, &self.file_aad, chunk, out);
        }
        if chunk.exact.is_some_and(|exact| from >= exact) {
            out.fill(0);
            return Ok(());
        }
        let mut cursor = self.cache.take(index).unwrap_or_else(|| Cursor::new(chunk));
        cursor.read(source, &self.key, &self.file_aad, chunk, from, out)?;
        if !cursor.done(chunk, from + out.len() as u64) {
            self.cache.put(index, cursor);
        }
        Ok(())
    }

    /// The magic, the gaps, the footer.
    fn fill_from_rest(&self, at: u64, out: &mut [u8]) {
        let (bytes, from) = match at.checked_sub(self.footer_start) {
            Some(from) => (self.footer.as_slice(), from),
            None => (PLAIN.as_slice(), at),
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let bytes = bytes.get(from..).unwrap_or(&[]);
        let length = bytes.len().min(out.len());
        out.fill(0);
        if let (Some(room), Some(bytes)) = (out.get_mut(..length), bytes.get(..length)) {
            room.copy_from_slice(bytes);
        }
    }

    /// Cursors kept for later reads.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.cache.len()
    }
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
