//! What a file says about its encryption to one who has no key.

use std::collections::BTreeMap;

use super::error::LakeError;
use super::file_metadata::{self, ColumnCrypto, FileMetadata};
use super::footer;
use super::source::ReadAt;
use crate::manifest::Algorithm;

/// How a column is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnProtection {
    /// Not at all.
    Clear,
    /// Under the footer's key.
    FooterKey,
    /// Under a key of its own, with what the writer says of that key.
    ColumnKey(Option<Vec<u8>>),
}

impl ColumnProtection {
    /// The stronger, the higher.
    fn rank(&self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::FooterKey => 1,
            Self::ColumnKey(_) => 2,
        }
    }
}

/// The clear words of an encrypted file. Nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// How pages are encrypted.
    pub algorithm: Algorithm,
    /// Whether the footer is encrypted; else it is in the clear and signed.
    pub encrypted_footer: bool,
    /// What the writer says of the footer's key.
    pub footer_key_metadata: Option<Vec<u8>>,
    /// The AAD prefix, if the file stores it.
    pub aad_prefix: Option<Vec<u8>>,
    /// Whether readers must bring the AAD prefix.
    pub supply_aad_prefix: bool,
    /// The leaf columns, by path; only where the footer is in the clear. With a footer's key at
    /// hand, [`super::SealedFile::columns`] tells them.
    pub columns: Option<BTreeMap<String, ColumnProtection>>,
}

/// Reads what stands in the clear.
pub fn inspect(source: &dyn ReadAt) -> Result<Inspection, LakeError> {
    let stored = footer::read(source)?;
    let (crypto, _) = stored.crypto()?;
    let columns = if stored.encrypted {
        None
    } else {
        let metadata = file_metadata::parse(stored.body()).map_err(LakeError::bad_footer)?;
        Some(columns(&metadata))
    };
    Ok(Inspection {
        algorithm: crypto.algorithm,
        encrypted_footer: stored.encrypted,
        footer_key_metadata: crypto.key_metadata.map(<[u8]>::to_vec),
        aad_prefix: crypto.aad_prefix.map(<[u8]>::to_vec),
        supply_aad_prefix: crypto.supply_aad_prefix,
        columns,
    })
}

/// The protection of every leaf, the weakest among its chunks. A file without row groups says
/// nothing of any column.
pub(super) fn columns(metadata: &FileMetadata<'_>) -> BTreeMap<String, ColumnProtection> {
    let mut found = BTreeMap::new();
    for group in &metadata.groups {
        for (column, leaf) in group.columns.iter().zip(&metadata.leaves) {
            let protection = match column.crypto {
                None => ColumnProtection::Clear,
                Some(ColumnCrypto::Footer) => ColumnProtection::FooterKey,
                Some(ColumnCrypto::Own(key)) => {
                    ColumnProtection::ColumnKey(key.map(<[u8]>::to_vec))
                }
            };
            let weaker = |known: &ColumnProtection| protection.rank() < known.rank();
            if found.get(&leaf.path).is_none_or(weaker) {
                found.insert(leaf.path.clone(), protection);
            }
        }
    }
    found
}
