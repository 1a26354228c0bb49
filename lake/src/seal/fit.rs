//! Making rows fit the columns of a table that exists.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::error::SealError;
use super::input::Input;

/// The columns of a table after rows with the columns `found` were added to it: the table's, then
/// new ones, which are nullable.
pub(super) fn fitted_schema(
    found: &SchemaRef,
    target: &SchemaRef,
    input: &Input,
) -> Result<SchemaRef, SealError> {
    let mut fields = Vec::new();
    for wanted in target.fields() {
        let name = wanted.name();
        let Ok(field) = found.field_with_name(name) else {
            return Err(input.unfit(format!("it has no column `{name}`")));
        };
        let (theirs, ours) = (field.data_type(), wanted.data_type());
        if theirs != ours && !can_cast_types(theirs, ours) {
            return Err(input.unfit(format!("column `{name}` is {theirs}, not {ours}")));
        }
        let nullable = wanted.is_nullable() || field.is_nullable();
        fields.push(wanted.as_ref().clone().with_nullable(nullable));
    }
    for field in found.fields() {
        if target.field_with_name(field.name()).is_err() {
            fields.push(field.as_ref().clone().with_nullable(true));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Rows in the columns of `schema`, which are known by their names: NULL in those that the rows do
/// not have. A value that another type cannot hold as it is, is an error, and so is a column that
/// `schema` does not have.
pub fn fit(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SealError> {
    let from = rows.schema();
    if from.fields() == schema.fields() {
        return Ok(rows.clone());
    }
    if let Some(extra) = from
        .fields()
        .iter()
        .find(|field| schema.field_with_name(field.name()).is_err())
    {
        return Err(SealError::Unfit {
            column: extra.name().clone(),
            what: "is not in the table",
        });
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = match rows.column_by_name(field.name()) {
                Some(column) => converted(column, field.data_type()),
                None => Some(new_null_array(field.data_type(), rows.num_rows())),
            };
            match column {
                Some(column) if field.is_nullable() || column.null_count() == 0 => Ok(column),
                Some(_) => Err("has no value in some row"),
                None => Err("has a value that its type in the table cannot hold as it is"),
            }
            .map_err(|what| SealError::Unfit {
                column: field.name().clone(),
                what,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        SchemaRef::clone(schema),
        columns,
        &options,
    )?)
}

/// The same values in another type; none if one would not come back as it was.
fn converted(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let from = column.data_type();
    if from == to {
        return Some(ArrayRef::clone(column));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let there = cast_with_options(column, to, &options).ok()?;
    let back = cast_with_options(&there, from, &options).ok()?;
    (back.as_ref() == column.as_ref()).then_some(there)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{Float64Array, Int32Array, Int64Array, LargeStringArray, StringArray};
    use arrow::datatypes::Field;

    use super::*;

    fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
        let fields = fields.iter();
        Arc::new(Schema::new(
            fields
                .map(|(name, kind, nullable)| Field::new(*name, kind.clone(), *nullable))
                .collect::<Vec<_>>(),
        ))
    }

    fn rows(numbers: Vec<Option<i64>>) -> RecordBatch {
        let words = StringArray::from_iter_values(numbers.iter().map(|n| format!("{n:?}")));
        RecordBatch::try_from_iter_with_nullable([
            ("w", Arc::new(words) as ArrayRef, false),
            ("n", Arc::new(Int64Array::from(numbers)) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn by_name_with_nulls_for_what_is_missing() {
        let to = schema(&[
            ("n", DataType::Int32, true),
            ("new", DataType::Float64, true),
            ("w", DataType::LargeUtf8, false),
        ]);
        let fitted = fit(&rows(vec![Some(7), None]), &to).unwrap();
        let expected: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![Some(7), None])),
            Arc::new(Float64Array::from(vec![None, None])),
            Arc::new(LargeStringArray::from(vec!["Some(7)", "None"])),
        ];
        assert_eq!(fitted, RecordBatch::try_new(to, expected).unwrap());
    }

    #[test]
    fn no_value_is_changed() {
        let text = ("w", DataType::Utf8, false);
        let refused = |numbers, n: DataType, nullable| {
            let to = schema(&[text.clone(), ("n", n, nullable)]);
            let fitted = fit(&rows(numbers), &to);
            matches!(fitted, Err(SealError::Unfit { column, .. }) if column == "n")
        };
        assert!(refused(vec![Some(1 << 40)], DataType::Int32, true));
        assert!(refused(vec![Some((1 << 53) + 1)], DataType::Float64, true));
        assert!(refused(vec![Some(2)], DataType::Boolean, true));
        assert!(refused(vec![None], DataType::Int32, false));
        assert!(!refused(vec![Some(1 << 53)], DataType::Float64, true));
        let fewer = fit(&rows(vec![]), &schema(&[text]));
        assert!(matches!(fewer, Err(SealError::Unfit { column, .. }) if column == "n"));
    }
}
