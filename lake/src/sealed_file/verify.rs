//! Stored bytes that carry no tags, held against the digest in the manifest before any of them is
//! used.
//!
//! The store is hostile and may give other bytes at the second read than at the first. So a chunk is
//! hashed once, in blocks, and each block gets a tag under a key that lives as long as the opened
//! file (AES-GCM over nothing, with the block as additional data). If the digest is right, so were
//! the blocks, and from then on a block is used only after its tag was seen to be right: one block
//! of memory, however large the chunk. Memory that cannot change needs no tags. A chunk that is read
//! although no digest is known stays what it was at first, too. In the clear, its pages' headers are
//! looked at then (`clear_pages`).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use duckblind_protocol::ids::Hasher;

use super::chunks::{Chunk, Protection};
use super::clear_pages;
use super::error::LakeError;
use super::modules::{NONCE, TAG};
use super::source::ReadAt;
use super::window::Window;

/// Bytes of a block.
pub(super) const BLOCK: usize = 256 << 10;

/// What is known of a chunk that was hashed.
pub(super) enum Verified {
    /// It lies in memory that cannot change.
    Lent,
    /// The tag of each block.
    Blocks(Box<[[u8; TAG]]>),
}

/// The key that remembers blocks.
pub(super) struct Verifier(LessSafeKey);

impl Verifier {
    /// With a fresh key.
    pub(super) fn new() -> Result<Self, LakeError> {
        let mut key = zeroize::Zeroizing::new([0; 16]);
        aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| LakeError::Randomness)?;
        UnboundKey::new(&AES_128_GCM, key.as_ref())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| LakeError::Randomness)
    }

    /// Demands that the chunk may be read: hashes it unless that was done before. `Ok(None)` if it
    /// has tags of its own, or cannot change.
    pub(super) fn check<'a>(
        &'a self,
        source: &dyn ReadAt,
        chunk: &'a Chunk,
        path: &str,
        number: u32,
    ) -> Result<Option<Blocks<'a>>, LakeError> {
        let Some(untagged) = &chunk.untagged else {
            return Ok(None);
        };
        let (row_group, column) = (chunk.row_group, || path.to_owned());
        if untagged.digest.is_none() && !untagged.accepted {
            return Err(LakeError::Unauthenticated {
                row_group,
                column: column(),
            });
        }
        if let Some(verified) = untagged.verified.get() {
            return Ok(self.blocks(number, verified));
        }
        let mut hasher = Hasher::new();
        let made = self.hash(source, chunk, number, &mut hasher)?;
        let found = hasher.finish();
        if untagged
            .digest
            .as_ref()
            .is_some_and(|known| !found.ct_eq(known))
        {
            return Err(LakeError::ChunkDigest {
                row_group,
                column: column(),
            });
        }
        if let Protection::Clear = chunk.protection {
            let blocks = self.blocks(number, &made);
            let mut window = Window::new(source, chunk, path, blocks, false);
            clear_pages::check(&mut window, chunk, path)?;
        }
        // Another thread may have been faster: what it saw is what counts.
        Ok(self.blocks(number, untagged.verified.get_or_init(|| made)))
    }

    fn blocks<'a>(&'a self, number: u32, verified: &'a Verified) -> Option<Blocks<'a>> {
        match verified {
            Verified::Lent => None,
            Verified::Blocks(tags) => Some(Blocks {
                verifier: self,
                number,
                tags,
            }),
        }
    }

    fn hash(
        &self,
        source: &dyn ReadAt,
        chunk: &Chunk,
        number: u32,
        hasher: &mut Hasher,
    ) -> Result<Verified, LakeError> {
        let whole = usize::try_from(chunk.stored).ok();
        if let Some(bytes) = whole.and_then(|length| source.lend(chunk.start, length)) {
            hasher.update(bytes);
            return Ok(Verified::Lent);
        }
        let mut tags = Vec::new();
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        while at < chunk.stored {
            let length = usize::try_from(chunk.stored - at)
                .unwrap_or(BLOCK)
                .min(BLOCK);
            let block = block.get_mut(..length).ok_or(LakeError::Truncated)?;
            source.read_exact_at(block, chunk.start + at)?;
            hasher.update(block);
            let index = u64::try_from(tags.len()).map_err(|_| LakeError::Truncated)?;
            tags.push(self.tag(number, index, block).ok_or(LakeError::Truncated)?);
            at += length as u64;
        }
        Ok(Verified::Blocks(tags.into()))
    }

    fn tag(&self, chunk: u32, block: u64, bytes: &[u8]) -> Option<[u8; TAG]> {
        let mut nonce = [0; NONCE];
        let (first, second) = nonce.split_first_chunk_mut::<4>()?;
        *first = chunk.to_le_bytes();
        second.copy_from_slice(&block.to_le_bytes());
        // A second message under this nonce is one that the store changed, and its tag is compared
        // with the first one's and never shown.
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(bytes), &mut [])
            .ok()?;
        tag.as_ref().try_into().ok()
    }
}

/// The blocks of one chunk whose digest was right.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    verifier: &'a Verifier,
    number: u32,
    tags: &'a [[u8; TAG]],
}

impl Blocks<'_> {
    /// Whether `bytes`, whole blocks from number `first` on, are what was hashed.
    pub(super) fn are(&self, first: u64, bytes: &[u8]) -> bool {
        bytes.chunks(BLOCK).zip(first..).all(|(bytes, block)| {
            let known = usize::try_from(block).ok().and_then(|at| self.tags.get(at));
            let found = self.verifier.tag(self.number, block, bytes);
            match (known, found) {
                (Some(known), Some(found)) => {
                    aws_lc_rs::constant_time::verify_slices_are_equal(known, &found).is_ok()
                }
                _ => false,
            }
        })
    }
}
