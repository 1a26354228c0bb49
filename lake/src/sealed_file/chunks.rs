//! Column chunks: where each lies as stored, and how it is protected.

use std::sync::{Arc, OnceLock};

use duckblind_protocol::ids::Digest;

use super::cipher::Cipher;
use super::column_metadata::ColumnMetadata;
use super::error::LakeError;
use super::footer::HEAD;
use super::modules::{LENGTH, NONCE, OVERHEAD};
use super::page_header::Header;
use super::verify::Verified;

/// One column chunk.
pub(super) struct Chunk {
    /// Offset in the stored file.
    pub(super) start: u64,
    /// Stored bytes.
    pub(super) stored: u64,
    /// Plaintext bytes, where the footer tells how many pages there are.
    pub(super) exact: Option<u64>,
    /// Row group, for the AAD.
    pub(super) row_group: i16,
    /// Leaf column, for the AAD.
    pub(super) column: i16,
    /// Whether the first page is a dictionary.
    pub(super) dictionary: bool,
    /// Its cipher.
    pub(super) protection: Protection,
    /// What stands in for tags where there are none.
    pub(super) untagged: Option<Untagged>,
}

/// How a chunk's pages are protected.
#[derive(Clone)]
pub(super) enum Protection {
    /// AES_GCM_V1.
    Gcm(Arc<Cipher>),
    /// AES_GCM_CTR_V1: bodies without tags.
    Ctr(Arc<Cipher>),
    /// Not at all.
    Clear,
}

/// A chunk whose bytes, or some of them, carry no tags.
pub(super) struct Untagged {
    /// SHA-256 of the stored chunk.
    pub(super) digest: Option<Digest>,
    /// Whether it may be read although nothing is known of it.
    pub(super) accepted: bool,
    /// Set once its stored bytes were seen to be those of the digest.
    pub(super) verified: OnceLock<Verified>,
}

impl Protection {
    /// What a page loses when its two modules are opened.
    fn page_overhead(&self) -> u64 {
        let bytes = match self {
            Self::Gcm(_) => 2 * OVERHEAD,
            Self::Ctr(_) => OVERHEAD + LENGTH + NONCE,
            Self::Clear => 0,
        };
        bytes as u64
    }

    /// Whether every byte of it carries a tag.
    pub(super) fn is_tagged(&self) -> bool {
        matches!(self, Self::Gcm(_))
    }
}

impl Chunk {
    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.stored
    }

    /// Whether a page with this header may be given out. Where nothing is known of the bytes, not under
    /// DELTA_BYTE_ARRAY: DuckDB 2.0.0 writes beyond its memory if the values' lengths wrap.
    pub(super) fn may_have(&self, page: &Header) -> bool {
        let known = |untagged: &Untagged| untagged.digest.is_some();
        !page.delta_strings || self.untagged.as_ref().is_none_or(known)
    }

    /// The room that it takes in the virtual file: its plaintext, where that is known.
    pub(super) fn room(&self) -> u64 {
        self.exact.unwrap_or(self.stored)
    }
}

/// The plaintext's length. What a page header says of the number of pages is asked of our own files
/// only: other writers were seen to leave pages out of these statistics.
pub(super) fn exact(
    metadata: &ColumnMetadata<'_>,
    protection: &Protection,
    ours: bool,
) -> Result<Option<u64>, LakeError> {
    let overhead = protection.page_overhead();
    if overhead == 0 {
        return Ok(Some(metadata.stored));
    }
    let Some(pages) = metadata.pages.filter(|_| ours) else {
        return Ok(None);
    };
    pages
        .checked_mul(overhead)
        .and_then(|lost| metadata.stored.checked_sub(lost))
        .map(Some)
        .ok_or(LakeError::Layout("more pages than a column chunk can hold"))
}

/// Demands that stored chunks lie inside the file, before the footer, none over another.
pub(super) fn check<'a>(
    chunks: impl Iterator<Item = &'a Chunk>,
    footer: u64,
) -> Result<(), LakeError> {
    let mut places: Vec<_> = chunks.map(|chunk| (chunk.start, chunk.stored)).collect();
    places.retain(|(_, stored)| *stored > 0);
    places.sort_unstable();
    let mut free = HEAD;
    for (start, stored) in places {
        free = start
            .checked_add(stored)
            .filter(|end| start >= free && *end <= footer)
            .ok_or(LakeError::Layout("column chunks overlap or leave the file"))?;
    }
    Ok(())
}
