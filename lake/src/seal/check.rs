//! A file just sealed, read again from the disk before anybody relies on it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use duckblind_protocol::ids::Digest;

use super::error::SealError;
use crate::keys::DataKey;
use crate::sealed_file::{AadPrefix, FileSpec, LakeError, LocalFile, ReadAt as _, SealedFile};

/// What the manifest says of the file.
pub(super) struct Checked {
    pub(super) size: u64,
    pub(super) footer_digest: Digest,
}

/// Opens the footer with the key, demands that every column is encrypted, that no stored byte is
/// outside magic, encrypted chunks and encrypted footer, and that all rows are there.
pub(super) fn check(
    path: &Path,
    key: &DataKey,
    aad_prefix: &[u8],
    rows: u64,
) -> Result<Checked, SealError> {
    let wrong = |why: LakeError| SealError::Check {
        path: path.into(),
        why: Box::new(why),
    };
    let source = File::open(path)
        .and_then(LocalFile::new)
        .map_err(|error| wrong(error.into()))?;
    let size = source.len();
    let key = DataKey::from_slice(key.expose())?;
    let spec = FileSpec::uniform(key, AadPrefix::Supplied(aad_prefix.to_vec()));
    let sealed = SealedFile::open(Arc::new(source), spec).map_err(wrong)?;
    if sealed.rows() != rows || !sealed.is_gapless() {
        return Err(SealError::Clear { path: path.into() });
    }
    Ok(Checked {
        size,
        footer_digest: sealed.footer_digest(),
    })
}
