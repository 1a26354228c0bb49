//! The footer of the virtual file: the stored one without anything about encryption, and without
//! places (page index, bloom filters) that the virtual file does not have.

use parquet::basic::ColumnOrder;
use parquet::file::column_crypto_metadata::ColumnCryptoMetaData;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataOptions,
    ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};

use super::chunks::{self, Chunk};
use super::error::LakeError;

/// A footer made usable.
pub(super) struct VirtualFooter {
    /// Bytes from the footer's start to the end of the virtual file.
    pub(super) bytes: Vec<u8>,
    /// Where the data is.
    pub(super) chunks: Vec<Chunk>,
    /// Rows of the file.
    pub(super) rows: u64,
    /// Names of the top-level columns.
    pub(super) columns: Vec<String>,
}

/// Makes the virtual footer from the decrypted stored one, which began at `footer_start`.
pub(super) fn build(plaintext: &[u8], footer_start: u64) -> Result<VirtualFooter, LakeError> {
    let malformed = |error: parquet::errors::ParquetError| LakeError::FooterForm(error.to_string());
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    let metadata = ParquetMetaDataReader::decode_metadata_with_options(plaintext, Some(&options))
        .map_err(malformed)?;
    check_encrypted(&metadata)?;
    let rows = rows(&metadata)?;
    let columns = columns(&metadata);
    let chunks = chunks::table(&metadata, footer_start)?;
    let metadata = strip(metadata, &chunks).map_err(malformed)?;
    let mut bytes = Vec::new();
    ParquetMetaDataWriter::new(&mut bytes, &metadata)
        .with_preserve_page_index_locations(false)
        .finish()
        .map_err(malformed)?;
    Ok(VirtualFooter {
        bytes,
        chunks,
        rows,
        columns,
    })
}

fn columns(metadata: &ParquetMetaData) -> Vec<String> {
    let schema = metadata.file_metadata().schema_descr().root_schema();
    schema
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect()
}

/// Every column under the footer's key: a column without crypto metadata is in the clear.
fn check_encrypted(metadata: &ParquetMetaData) -> Result<(), LakeError> {
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns)
    {
        let path = || column.column_path().string();
        match column.crypto_metadata() {
            Some(ColumnCryptoMetaData::ENCRYPTION_WITH_FOOTER_KEY) => {}
            Some(ColumnCryptoMetaData::ENCRYPTION_WITH_COLUMN_KEY(_)) => {
                return Err(LakeError::ColumnKey(path()));
            }
            None => return Err(LakeError::ColumnClear(path())),
        }
    }
    Ok(())
}

fn rows(metadata: &ParquetMetaData) -> Result<u64, LakeError> {
    let wrong = || LakeError::FooterForm("the row groups' rows do not add up".into());
    let mut sum = 0_u64;
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| wrong())?;
        sum = sum.checked_add(rows).ok_or_else(wrong)?;
    }
    if u64::try_from(metadata.file_metadata().num_rows()) == Ok(sum) {
        Ok(sum)
    } else {
        Err(wrong())
    }
}

fn strip(metadata: ParquetMetaData, chunks: &[Chunk]) -> parquet::errors::Result<ParquetMetaData> {
    let file = metadata.file_metadata().clone();
    let mut builder = ParquetMetaDataBuilder::new_from_metadata(metadata);
    let mut groups = Vec::new();
    for group in builder.take_row_groups() {
        let mut group = group.into_builder();
        let mut columns = Vec::new();
        for (at, column) in group.take_columns().into_iter().enumerate() {
            // The writer declares an order for every column. Where the stored footer declared
            // none, its bounds may follow another, so they are dropped.
            let ordered = !matches!(
                file.column_order(at),
                ColumnOrder::UNDEFINED | ColumnOrder::UNKNOWN
            );
            columns.push(strip_column(column, ordered, chunks)?);
        }
        groups.push(group.set_column_metadata(columns).build()?);
    }
    Ok(builder.set_row_groups(groups).build())
}

fn strip_column(
    column: ColumnChunkMetaData,
    ordered: bool,
    chunks: &[Chunk],
) -> parquet::errors::Result<ColumnChunkMetaData> {
    let start = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    let exact = chunks
        .binary_search_by_key(&start, |chunk| {
            i64::try_from(chunk.start).unwrap_or(i64::MAX)
        })
        .ok()
        .and_then(|at| chunks.get(at)?.exact)
        .and_then(|length| i64::try_from(length).ok());
    let mut builder = column
        .into_builder()
        .set_column_crypto_metadata(None)
        .set_encrypted_column_metadata(None)
        .set_bloom_filter_offset(None)
        .set_bloom_filter_length(None)
        .set_column_index_offset(None)
        .set_column_index_length(None)
        .set_offset_index_offset(None)
        .set_offset_index_length(None)
        .set_index_page_offset(None);
    if !ordered {
        builder = builder.clear_statistics();
    }
    if let Some(exact) = exact {
        builder = builder.set_total_compressed_size(exact);
    }
    builder.build()
}
