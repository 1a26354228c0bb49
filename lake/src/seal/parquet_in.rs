//! Plaintext Parquet as an input.

use std::fs::File;
use std::io::Read as _;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::error::SealError;
use super::input::{BATCH_BYTES, Batches, Input, unreadable};
use super::progress::Passed;

const BATCH_ROWS: usize = 8192;

/// The columns.
pub(super) fn schema(input: &Input) -> Result<Schema, SealError> {
    Ok(Schema::new(open(input)?.schema().fields().clone()))
}

/// The rows.
pub(super) fn batches(
    input: &Input,
    schema: &SchemaRef,
    passed: &Passed,
) -> Result<Batches, SealError> {
    let builder = open(input)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows())
        .unwrap_or(0)
        .max(1);
    let batch = batch_rows(builder.metadata().row_groups());
    let reader = builder
        .with_batch_size(batch)
        .build()
        .map_err(|error| input.malformed(None, error.to_string()))?;
    let (input, schema, passed) = (
        input.clone(),
        SchemaRef::clone(schema),
        Passed::clone(passed),
    );
    let mut done = 0_u64;
    Ok(Box::new(reader.map(move |batch| {
        let batch = batch.map_err(|_| input.malformed(None, format!("broken after row {done}")))?;
        done += batch.num_rows() as u64;
        let share = u128::from(input.size) * u128::from(done.min(rows)) / u128::from(rows);
        passed.set(u64::try_from(share).unwrap_or(input.size));
        RecordBatch::try_new(SchemaRef::clone(&schema), batch.columns().to_vec())
            .map_err(|_| input.misfit("its columns changed while it was read"))
    })))
}

/// Rows read at a time: fewer where they are wide.
fn batch_rows(groups: &[RowGroupMetaData]) -> usize {
    let size = |column: &ColumnChunkMetaData| {
        let encoded = column.uncompressed_size();
        // A dictionary says each value only once.
        let texts = column.unencoded_byte_array_data_bytes().unwrap_or(0);
        u64::try_from(encoded.max(texts)).unwrap_or(0)
    };
    let widest = groups.iter().map(|group| {
        let bytes = group.columns().iter().map(size);
        let bytes = bytes.fold(0_u64, u64::saturating_add);
        bytes / u64::try_from(group.num_rows()).unwrap_or(0).max(1)
    });
    let widest = usize::try_from(widest.max().unwrap_or(0)).unwrap_or(usize::MAX);
    (BATCH_BYTES / widest.max(1)).clamp(1, BATCH_ROWS)
}

fn open(input: &Input) -> Result<ParquetRecordBatchReaderBuilder<File>, SealError> {
    let mut file = File::open(&input.path).map_err(|error| unreadable(&input.path, &error))?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic)
        .map_err(|_| input.malformed(None, "no Parquet file"))?;
    if &magic == b"PARE" {
        return Err(SealError::Encrypted {
            path: input.path.clone(),
        });
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| input.malformed(None, error.to_string()))?;
    let columns = || {
        let groups = builder.metadata().row_groups().iter();
        groups.flat_map(RowGroupMetaData::columns)
    };
    if columns().any(|column| column.crypto_metadata().is_some()) {
        return Err(SealError::Encrypted {
            path: input.path.clone(),
        });
    }
    if !columns().all(|column| is_inside(column, input.size)) {
        return Err(input.malformed(None, "a column outside the file"));
    }
    Ok(builder)
}

/// The library panics at places before the file's start.
fn is_inside(column: &ColumnChunkMetaData, size: u64) -> bool {
    let start = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    match (
        u64::try_from(start),
        u64::try_from(column.compressed_size()),
    ) {
        (Ok(start), Ok(length)) => start.checked_add(length).is_some_and(|end| end <= size),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{ColumnChunkMetaDataBuilder, ParquetMetaDataWriter};

    use super::*;
    use crate::seal::CsvOptions;

    /// Opens a small file after its one column chunk was moved.
    fn opened(
        change: impl Fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder,
    ) -> Result<(), SealError> {
        let numbers = Arc::new(Int64Array::from_iter_values(0..9)) as _;
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let mut footer = writer.close().unwrap().into_builder();
        let mut groups = footer.take_row_groups();
        let mut group = groups.remove(0).into_builder();
        let column = group.take_columns().remove(0).into_builder();
        let column = change(column).build().unwrap();
        let group = group.set_column_metadata(vec![column]).build().unwrap();
        let footer = footer.set_row_groups(vec![group]).build();
        ParquetMetaDataWriter::new(&mut bytes, &footer)
            .finish()
            .unwrap();

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        std::fs::write(&path, bytes).unwrap();
        open(&Input::new(path, &CsvOptions::default()).unwrap()).map(drop)
    }

    #[test]
    fn columns_outside_the_file_are_refused() {
        assert!(opened(|column| column).is_ok());
        let moved: [fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder; 4] = [
            |column| column.set_dictionary_page_offset(Some(-1)),
            |column| {
                column
                    .set_dictionary_page_offset(None)
                    .set_data_page_offset(i64::MIN)
            },
            |column| column.set_total_compressed_size(-1),
            |column| column.set_total_compressed_size(i64::MAX),
        ];
        for change in moved {
            assert!(matches!(opened(change), Err(SealError::Malformed { .. })));
        }
    }
}
