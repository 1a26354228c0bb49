//! Writing one Parquet file, sealed or in the clear: the same rows, codec, pages and row groups.

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::error::SealError;
use super::input::leaves;
use super::parts::Rows;
use crate::keys::DataKey;

/// The name that sealed files carry as their writer.
pub const CREATED_BY: &str = "duckblind";
/// Rows of a row group: what DuckDB reads at a time with one thread.
pub const ROW_GROUP_ROWS: usize = 122_880;
/// Memory of the row group being written that ends it early: rows may be wide, or many columns.
const ROW_GROUP_MEMORY: usize = 96 << 20;
/// Column chunks after which a new file begins: the writer keeps the metadata of all of them.
const MAX_CHUNKS: usize = 32_768;
/// Row groups after which a new file begins; the format ends at 32,767.
const MAX_ROW_GROUPS: usize = 8192;

/// What every column takes beyond its rows: that much less is left for them.
const COLUMN_MEMORY: usize = 8 << 10;
/// Leaf columns beyond which none gets a dictionary: one in the making takes some 100 KiB before its
/// first value.
const MAX_DICTIONARIES: usize = 1024;
/// Leaf columns beyond which zstd's contexts, one for each, would take too much memory.
const MAX_CONTEXTS: usize = 2048;

/// How a file is protected.
#[derive(Clone, Copy)]
pub enum Protection<'a> {
    /// AES_GCM_V1, one key for footer and all columns, encrypted footer, AAD prefix not stored.
    Sealed {
        /// The file's key.
        key: &'a DataKey,
        /// Its AAD prefix.
        aad_prefix: &'a [u8],
    },
    /// Not at all: for measuring what sealing costs.
    Clear,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Whether the file was ended because it was full, not because the rows ended.
    pub full: bool,
}

/// Writes rows to `file` until they end or the file is full, and syncs it.
pub fn write_file(
    file: File,
    schema: &SchemaRef,
    rows: Rows<'_>,
    protection: Protection<'_>,
) -> Result<Written, SealError> {
    let encryption = match protection {
        // No column keys: with one of them, columns without a key would be in the clear.
        Protection::Sealed { key, aad_prefix } => Some(
            FileEncryptionProperties::builder(key.expose().to_vec())
                .with_aad_prefix(aad_prefix.to_vec())
                .with_aad_prefix_storage(false)
                .build()?,
        ),
        Protection::Clear => None,
    };
    write_rows(file, schema, rows, encryption)
}

/// The same with any keys.
pub(super) fn write_rows(
    file: File,
    schema: &SchemaRef,
    rows: Rows<'_>,
    encryption: Option<Arc<FileEncryptionProperties>>,
) -> Result<Written, SealError> {
    let io = |error: std::io::Error| SealError::Output {
        path: "the output".into(),
        kind: error.kind(),
    };
    let handle = file.try_clone().map_err(io)?;
    let leaves = leaves(schema);
    let most = row_group_memory(leaves);
    let mut writer = ArrowWriter::try_new(
        file,
        SchemaRef::clone(schema),
        Some(properties(leaves, encryption)?),
    )?;
    let mut written = Written {
        rows: 0,
        full: false,
    };
    for batch in rows {
        let batch = batch?;
        writer.write(&batch)?;
        written.rows += batch.num_rows() as u64;
        if writer.memory_size() > most {
            writer.flush()?;
        }
        if is_full(writer.flushed_row_groups()) {
            written.full = true;
            break;
        }
    }
    writer.close()?;
    handle.sync_all().map_err(io)?;
    Ok(written)
}

fn is_full(groups: &[RowGroupMetaData]) -> bool {
    let columns = groups.first().map_or(0, RowGroupMetaData::num_columns);
    groups.len() >= MAX_ROW_GROUPS || groups.len().saturating_mul(columns) >= MAX_CHUNKS
}

fn row_group_memory(leaves: usize) -> usize {
    let columns = leaves.saturating_mul(COLUMN_MEMORY);
    ROW_GROUP_MEMORY
        .saturating_sub(columns)
        .max(ROW_GROUP_MEMORY / 6)
}

fn properties(
    leaves: usize,
    encryption: Option<Arc<FileEncryptionProperties>>,
) -> Result<WriterProperties, SealError> {
    let compression = if leaves <= MAX_CONTEXTS {
        Compression::ZSTD(ZstdLevel::try_new(1)?)
    } else {
        Compression::LZ4_RAW
    };
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.into())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Pages end by size alone: every page costs two modules.
        .set_data_page_row_count_limit(ROW_GROUP_ROWS)
        .set_dictionary_enabled(leaves <= MAX_DICTIONARIES)
        // The virtual file shows no page index, so none is written.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    if let Some(encryption) = encryption {
        builder = builder.with_file_encryption_properties(encryption);
    }
    Ok(builder.build())
}
