//! Time zones for formats that show times as text: `UTC` by its offset.
//!
//! Text writers know offsets only, and `timestamptz` columns come as `UTC`. The instants stay.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// The type with its zone as an offset, if it is another one then.
fn offset(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(unit, Some(zone)) if matches!(&**zone, "UTC" | "Etc/UTC") => {
            Some(DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        _ => None,
    }
}

/// The columns with offsets. Nested ones stay as they are.
pub(super) fn schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        offset(field.data_type()).map_or_else(
            || Arc::clone(field),
            |to| Arc::new(Field::clone(field).with_data_type(to)),
        )
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

fn column(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match offset(array.data_type()) {
        None => Ok(Arc::clone(array)),
        Some(to) => {
            let data = array.to_data().into_builder().data_type(to).build()?;
            Ok(make_array(data))
        }
    }
}

/// The same rows with offsets.
pub(super) fn batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .map(column)
        .collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema(batch.schema_ref()), columns, &rows)
}
