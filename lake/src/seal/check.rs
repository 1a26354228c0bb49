//! A file just sealed, read again from the disk before anybody relies on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use duckblind_protocol::ids::Digest;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};

use super::error::SealError;
use super::file_keys::NewKeys;
use super::plan::Plan;
use crate::manifest::{AadStorage, Algorithm, ChunkDigests};
use crate::sealed_file::{
    AadPrefix, ColumnProtection, ColumnRules, FileSpec, LakeError, LocalFile, ReadAt, SealedFile,
    inspect,
};

/// Nonce and tag behind a plaintext footer, its length and the last magic.
const BEHIND_FOOTER: usize = 28 + 8;

/// What the manifest says of the file.
pub(super) struct Checked {
    pub(super) size: u64,
    pub(super) footer_digest: Digest,
    pub(super) chunk_digests: BTreeMap<String, ChunkDigests>,
}

/// Opens the footer with the keys and demands that every column is protected as planned, that no
/// stored byte is outside magic, column chunks and footer, that a plaintext footer says nothing of
/// what encrypted columns hold, and that all rows are there.
pub(super) fn check(
    path: &Path,
    plan: &Plan,
    keys: &NewKeys,
    rows: u64,
) -> Result<Checked, SealError> {
    let wrong = |why: LakeError| SealError::Check {
        path: path.into(),
        why: Box::new(why),
    };
    let unlike = |what: &str| SealError::Clear {
        path: path.into(),
        what: what.into(),
    };
    let source = File::open(path)
        .and_then(LocalFile::new)
        .map_err(|error| wrong(error.into()))?;
    let layout = plan.layout();
    let seen = inspect(&source).map_err(wrong)?;
    if seen.encrypted_footer == layout.plaintext_footer || seen.algorithm != Algorithm::Gcm {
        return Err(unlike("the footer"));
    }
    let stored_prefix = keys
        .aad_prefix()
        .filter(|_| layout.aad == AadStorage::Stored);
    if seen.aad_prefix.as_deref() != stored_prefix
        || seen.supply_aad_prefix != (layout.aad == AadStorage::Supplied)
    {
        return Err(unlike("the AAD prefix"));
    }
    if layout.plaintext_footer
        && let Some(column) = told(&source, plan).map_err(wrong)?
    {
        return Err(unlike(&format!("statistics of column `{column}`")));
    }
    let size = source.len();
    let sealed = SealedFile::open(Arc::new(source), spec(plan, keys)?).map_err(wrong)?;
    if sealed.rows() != rows {
        return Err(unlike("some of its rows missing"));
    }
    if !sealed.is_gapless() {
        return Err(unlike("bytes that belong to no column"));
    }
    // Without rows there are no chunks, which alone could be unprotected.
    for column in plan.columns().iter().filter(|_| rows > 0) {
        let expected = match &column.key_id {
            None => ColumnProtection::Clear,
            Some(_) if plan.is_uniform() => ColumnProtection::FooterKey,
            Some(id) => ColumnProtection::ColumnKey(Some(keys.metadata(id, false))),
        };
        if sealed.columns().get(&column.path) != Some(&expected) {
            return Err(unlike(&format!("column `{}`", column.path)));
        }
    }
    let digests = sealed.chunk_digests().map_err(wrong)?.into_iter();
    Ok(Checked {
        size,
        footer_digest: sealed.footer_digest(),
        chunk_digests: digests
            .map(|(path, digests)| (path, ChunkDigests(digests)))
            .collect(),
    })
}

fn spec(plan: &Plan, keys: &NewKeys) -> Result<FileSpec, SealError> {
    Ok(FileSpec {
        keys: keys.copy()?,
        algorithm: None,
        aad_prefix: match keys.aad_prefix() {
            Some(prefix) => AadPrefix::Supplied(prefix.to_vec()),
            None => AadPrefix::None,
        },
        footer_digest: None,
        size: None,
        columns: ColumnRules::of(plan.columns()),
    })
}

/// The first encrypted column of which a plaintext footer says what is in it.
fn told(source: &dyn ReadAt, plan: &Plan) -> Result<Option<String>, LakeError> {
    let mut tail = [0; 8];
    let tail_at = source.len().checked_sub(8).ok_or(LakeError::Truncated)?;
    source.read_exact_at(&mut tail, tail_at)?;
    let [l0, l1, l2, l3, ..] = tail;
    let start = tail_at
        .checked_sub(u32::from_le_bytes([l0, l1, l2, l3]).into())
        .ok_or(LakeError::Truncated)?;
    let mut footer = vec![0; usize::try_from(source.len() - start).unwrap_or(0)];
    source.read_exact_at(&mut footer, start)?;
    let end = footer.len().saturating_sub(BEHIND_FOOTER);
    let metadata = ParquetMetaDataReader::decode_metadata(footer.get(..end).unwrap_or(&[]))
        .map_err(|_| LakeError::NotParquet)?;
    let groups = metadata.row_groups().iter();
    let chunks = groups.flat_map(RowGroupMetaData::columns);
    let mut planned = plan.columns().iter().cycle().zip(chunks);
    let told = planned.find(|(column, chunk)| column.key_id.is_some() && tells_of_values(chunk));
    Ok(told.map(|(column, _)| column.path.clone()))
}

fn tells_of_values(chunk: &ColumnChunkMetaData) -> bool {
    chunk.statistics().is_some()
        || chunk.bloom_filter_offset().is_some()
        || chunk.column_index_offset().is_some()
        || chunk.unencoded_byte_array_data_bytes().is_some()
        || chunk.definition_level_histogram().is_some()
        || chunk.repetition_level_histogram().is_some()
        || chunk.geo_statistics().is_some()
}
