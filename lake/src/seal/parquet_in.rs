//! Plaintext Parquet as an input.

use std::fs::File;
use std::io::Read as _;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;

use super::error::SealError;
use super::input::{Batches, Input, unreadable};
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
    let reader = builder
        .with_batch_size(BATCH_ROWS)
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
    let encrypted = builder
        .metadata()
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns)
        .any(|column| column.crypto_metadata().is_some());
    if encrypted {
        return Err(SealError::Encrypted {
            path: input.path.clone(),
        });
    }
    Ok(builder)
}
