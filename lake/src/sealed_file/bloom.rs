//! A bloom filter: two encrypted modules, shown as the header and the bitset that they hold.
//!
//! Writers are about that leave filters in the clear beside encrypted columns (the `parquet` crate
//! does). A filter that does not authenticate is shown as one without a bit: it drops no row group.
//! Header and bitset may come from two reads, so what the first one found holds for all of them.

use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::aad::{Aad, Module};
use super::cipher::Cipher;
use super::error::LakeError;
use super::modules::{self, LENGTH, OVERHEAD};
use super::source::ReadAt;

/// Largest bloom filter, in bytes; the format ends at 128 MiB.
const MAX_BITSET: u64 = 128 << 20;
/// Largest header, in bytes.
const MAX_HEADER: u64 = 64 << 10;

/// `BloomFilterHeader` of a filter of 0 bytes.
pub(super) const EMPTY: &[u8] = b"\x15\x00\x1c\x1c\x00\x00\x1c\x1c\x00\x00\x1c\x1c\x00\x00\x00";

/// One encrypted bloom filter.
pub(super) struct Bloom {
    /// Offset in the stored file.
    start: u64,
    /// Stored bytes: as many as it has, or as many as it may have.
    stored: u64,
    /// Whether `stored` is its length.
    pub(super) sized: bool,
    /// Row group, for the AAD.
    pub(super) row_group: i16,
    /// Leaf column, for the AAD.
    pub(super) column: i16,
    cipher: Arc<Cipher>,
    /// Whether it opened when it was first read.
    opened: OnceLock<bool>,
}

impl Bloom {
    /// At `start`, before the footer; `None` if no encrypted filter can be there.
    pub(super) fn new(
        start: u64,
        length: Option<u64>,
        (row_group, column): (i16, i16),
        footer: u64,
        cipher: Arc<Cipher>,
    ) -> Option<Self> {
        let most = footer.checked_sub(start)?.min(MAX_BITSET + MAX_HEADER);
        let stored = length.unwrap_or(most);
        (stored <= most && stored > 2 * OVERHEAD as u64).then_some(Self {
            start,
            stored,
            sized: length.is_some(),
            row_group,
            column,
            cipher,
            opened: OnceLock::new(),
        })
    }

    /// The room that it takes in the virtual file: its plaintext, where that is known.
    pub(super) fn room(&self) -> u64 {
        if self.sized {
            self.stored.saturating_sub(2 * OVERHEAD as u64)
        } else {
            self.stored
        }
    }

    /// Header and bitset; `None` if it opened before and does not any more.
    pub(super) fn open(
        &self,
        source: &dyn ReadAt,
        file_aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LakeError> {
        let empty = || Some(Zeroizing::new(EMPTY.to_vec()));
        if self.opened.get() == Some(&false) {
            return Ok(empty());
        }
        let plain = self.decrypt(source, file_aad)?;
        Ok(match self.opened.get_or_init(|| plain.is_some()) {
            true => plain,
            false => empty(),
        })
    }

    /// Header and bitset; `None` if they do not open.
    fn decrypt(
        &self,
        source: &dyn ReadAt,
        file_aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LakeError> {
        let mut aad = Aad::new(file_aad, self.row_group, self.column)
            .ok_or(LakeError::CryptoForm("the AAD is too long"))?;
        let mut plain = Zeroizing::new(Vec::new());
        let mut at = 0;
        for (module, most) in [
            (Module::BloomFilterHeader, MAX_HEADER),
            (Module::BloomFilterBitset, MAX_BITSET + OVERHEAD as u64),
        ] {
            match self.module(source, at, most, aad.only(module), &mut plain)? {
                Some(end) => at = end,
                None => return Ok(None),
            }
        }
        Ok((!self.sized || at == self.stored).then_some(plain))
    }

    /// Opens the module at `at` behind `plain` and says where it ends; `None` if it does not open.
    fn module(
        &self,
        source: &dyn ReadAt,
        at: u64,
        most: u64,
        aad: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<Option<u64>, LakeError> {
        let mut length = [0; LENGTH];
        if at + LENGTH as u64 > self.stored {
            return Ok(None);
        }
        source.read_exact_at(&mut length, self.start + at)?;
        let fits = |size: &usize| *size as u64 <= most.min(self.stored - at);
        let Some(size) = modules::size(&length).filter(fits) else {
            return Ok(None);
        };
        let mut stored = vec![0; size];
        source.read_exact_at(&mut stored, self.start + at)?;
        let from = plain.len();
        plain.resize(from + size - OVERHEAD, 0);
        let out = plain.get_mut(from..).unwrap_or_default();
        let opened = self.cipher.open(&stored, aad, out);
        Ok(opened.map(|()| at + size as u64))
    }
}
