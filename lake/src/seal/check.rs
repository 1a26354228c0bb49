//! A file just sealed, read again from the disk before anybody relies on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use duckblind_protocol::ids::{Digest, Hasher};
use parquet::file::column_crypto_metadata::ColumnCryptoMetaData;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::error::SealError;
use super::file_keys::NewKeys;
use super::plan::Plan;
use crate::manifest::{ChunkDigests, ColumnKey};
use crate::sealed_file::{
    AadPrefix, ColumnRules, FileSpec, LakeError, LocalFile, ReadAt, SealedFile,
};

/// Length of the footer, and the last magic.
const TAIL: u64 = 8;
/// The first magic.
const HEAD: u64 = 4;
/// Nonce and tag behind a plaintext footer.
const SIGNATURE: usize = 28;
/// Bytes of a chunk that are hashed at a time.
const PIECE: u64 = 1 << 20;

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
    let unlike = |what: String| SealError::Clear {
        path: path.into(),
        what,
    };
    let file = File::open(path).map_err(|error| wrong(error.into()))?;
    let source = LocalFile::new(file.try_clone().map_err(|error| wrong(error.into()))?)
        .map_err(|error| wrong(error.into()))?;
    let footer = Footer::read(&source).map_err(wrong)?;
    if footer.in_clear != plan.layout().plaintext_footer {
        return Err(unlike("the footer".into()));
    }
    let metadata = ParquetMetaDataReader::new()
        .with_decryption_properties(Some(keys.decryption(plan)?))
        .parse_and_finish(&file)?;
    if u64::try_from(metadata.file_metadata().num_rows()).ok() != Some(rows) {
        return Err(unlike("some of its rows missing".into()));
    }
    for (column, chunk) in chunks(plan, &metadata) {
        if !is_as_planned(plan, keys, column, chunk) {
            return Err(unlike(format!("column `{}`", column.path)));
        }
    }
    if !is_gapless(&metadata, footer.start) {
        return Err(unlike("bytes that belong to no column".into()));
    }
    if footer.in_clear {
        let open = ParquetMetaDataReader::decode_metadata(footer.metadata())?;
        for (column, chunk) in chunks(plan, &open) {
            if column.key_id.is_some() && tells_of_values(chunk) {
                return Err(unlike(format!("statistics of column `{}`", column.path)));
            }
        }
    }
    let chunk_digests = digests(&source, plan, &metadata).map_err(wrong)?;
    let size = source.len();
    // What reads it later must take it too.
    if plan.is_uniform() && !footer.in_clear {
        let spec = FileSpec {
            keys: keys.copy()?,
            aad_prefix: match keys.aad_prefix() {
                Some(prefix) => AadPrefix::Supplied(prefix.to_vec()),
                None => AadPrefix::None,
            },
            footer_digest: Some(footer.digest),
            size: Some(size),
            columns: ColumnRules::default(),
        };
        let sealed = SealedFile::open(Arc::new(source), spec).map_err(wrong)?;
        if sealed.rows() != rows || !sealed.is_gapless() {
            return Err(unlike("its virtual file".into()));
        }
    }
    Ok(Checked {
        size,
        footer_digest: footer.digest,
        chunk_digests,
    })
}

/// The stored footer.
struct Footer {
    bytes: Vec<u8>,
    start: u64,
    in_clear: bool,
    digest: Digest,
}

impl Footer {
    fn read(source: &dyn ReadAt) -> Result<Self, LakeError> {
        let mut head = [0; 4];
        let mut tail = [0; 8];
        let tail_at = source.len().checked_sub(TAIL).ok_or(LakeError::Truncated)?;
        source.read_exact_at(&mut head, 0)?;
        source.read_exact_at(&mut tail, tail_at)?;
        let [l0, l1, l2, l3, magic @ ..] = tail;
        let in_clear = match (&head, &magic) {
            (b"PARE", b"PARE") => false,
            (b"PAR1", b"PAR1") => true,
            _ => return Err(LakeError::NotParquet),
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let start = tail_at
            .checked_sub(length.into())
            .filter(|start| *start >= HEAD)
            .ok_or(LakeError::Truncated)?;
        let mut bytes = vec![0; usize::try_from(source.len() - start).unwrap_or(usize::MAX)];
        source.read_exact_at(&mut bytes, start)?;
        Ok(Self {
            start,
            in_clear,
            digest: Digest::of(&bytes),
            bytes,
        })
    }

    /// A plaintext footer without signature, length and magic.
    fn metadata(&self) -> &[u8] {
        let end = self.bytes.len().saturating_sub(SIGNATURE + 8);
        self.bytes.get(..end).unwrap_or(&[])
    }
}

/// Every column of every row group, with its plan.
fn chunks<'a>(
    plan: &'a Plan,
    metadata: &'a ParquetMetaData,
) -> impl Iterator<Item = (&'a ColumnKey, &'a ColumnChunkMetaData)> {
    let groups = metadata.row_groups().iter();
    groups.flat_map(|group| plan.columns().iter().zip(group.columns()))
}

/// Whether the file says of a chunk what it should.
fn is_as_planned(
    plan: &Plan,
    keys: &NewKeys,
    column: &ColumnKey,
    chunk: &ColumnChunkMetaData,
) -> bool {
    chunk.column_path().string() == column.path
        && match (chunk.crypto_metadata(), &column.key_id) {
            (None, None) => true,
            (Some(ColumnCryptoMetaData::ENCRYPTION_WITH_FOOTER_KEY), Some(_)) => plan.is_uniform(),
            (Some(ColumnCryptoMetaData::ENCRYPTION_WITH_COLUMN_KEY(own)), Some(id)) => {
                !plan.is_uniform()
                    && own.path_in_schema.join(".") == column.path
                    && own.key_metadata == Some(keys.metadata(id, false))
            }
            _ => false,
        }
}

/// Whether the chunks fill the file from its magic to its footer.
fn is_gapless(metadata: &ParquetMetaData, footer: u64) -> bool {
    let groups = metadata.row_groups().iter();
    let ranges = groups.flat_map(|group| group.columns().iter().map(|chunk| range(chunk)));
    let end = ranges.into_iter().try_fold(HEAD, |free, range| {
        let (start, length) = range?;
        (start == free).then(|| start.checked_add(length)).flatten()
    });
    end == Some(footer)
}

/// Where a chunk starts and how long it is.
fn range(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    let start = chunk
        .dictionary_page_offset()
        .unwrap_or(chunk.data_page_offset());
    Some((
        u64::try_from(start).ok()?,
        u64::try_from(chunk.compressed_size()).ok()?,
    ))
}

/// Whether the metadata of an encrypted column, as everybody sees it, says what is in the column.
fn tells_of_values(chunk: &ColumnChunkMetaData) -> bool {
    chunk.statistics().is_some()
        || chunk.bloom_filter_offset().is_some()
        || chunk.column_index_offset().is_some()
        || chunk.unencoded_byte_array_data_bytes().is_some()
        || chunk.definition_level_histogram().is_some()
        || chunk.repetition_level_histogram().is_some()
        || chunk.geo_statistics().is_some()
}

/// SHA-256 of the stored chunks of columns in the clear.
fn digests(
    source: &dyn ReadAt,
    plan: &Plan,
    metadata: &ParquetMetaData,
) -> Result<BTreeMap<String, ChunkDigests>, LakeError> {
    let mut digests: BTreeMap<String, ChunkDigests> = BTreeMap::new();
    let mut piece = Vec::new();
    for (column, chunk) in chunks(plan, metadata) {
        if column.key_id.is_some() {
            continue;
        }
        let (start, length) = range(chunk).ok_or(LakeError::Layout("a negative size"))?;
        let mut hasher = Hasher::new();
        let mut done = 0;
        while done < length {
            let next = PIECE.min(length - done);
            piece.resize(usize::try_from(next).unwrap_or(0), 0);
            source.read_exact_at(&mut piece, start + done)?;
            hasher.update(&piece);
            done += next;
        }
        let known = digests.entry(column.path.clone()).or_default();
        known.0.push(hasher.finish());
    }
    Ok(digests)
}
