//! The table for people: the first rows, aligned, and how many were left out.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;

use super::error::OutputError;
use super::visible;

/// Rows that a table shows if nothing else is said.
pub const DEFAULT_ROWS: usize = 1000;

/// Keeps the first rows and counts the others.
pub(super) struct TableRows {
    limit: usize,
    kept: Vec<RecordBatch>,
    shown: usize,
    hidden: u64,
}

impl TableRows {
    pub(super) fn new(schema: &SchemaRef, limit: usize) -> Self {
        Self {
            limit,
            // Columns are shown even without rows.
            kept: vec![RecordBatch::new_empty(schema.clone())],
            shown: 0,
            hidden: 0,
        }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) {
        let room = self.limit.saturating_sub(self.shown);
        let take = room.min(batch.num_rows());
        if take > 0 {
            self.kept.push(batch.slice(0, take));
            self.shown += take;
        }
        self.hidden += (batch.num_rows() - take) as u64;
    }

    /// Writes the table; tells how many rows are not in it.
    pub(super) fn finish(self, out: &mut impl Write) -> Result<u64, OutputError> {
        let failed = |e: ArrowError| OutputError::Format {
            format: "a table",
            reason: e.to_string(),
        };
        let texts = self.kept.iter().map(texts).collect::<Result<Vec<_>, _>>();
        let text = pretty_format_batches(&texts.map_err(failed)?).map_err(failed)?;
        writeln!(out, "{text}").map_err(OutputError::write)?;
        Ok(self.hidden)
    }
}

/// Every name and value as the text that is shown: what a table holds must not reach a terminal as
/// a command to it, nor look like other rows.
fn texts(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = FormatOptions::default().with_display_error(true);
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let texts = (0..batch.num_rows())
            .map(|row| visible::line(&formatter.value(row).to_string()).into_owned());
        columns.push(Arc::new(StringArray::from_iter_values(texts)));
        fields.push(Field::new(
            visible::line(field.name()),
            DataType::Utf8,
            false,
        ));
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    use arrow::array::{BinaryArray, Int32Array, ListArray};
    use arrow::datatypes::Int32Type;

    #[test]
    fn rows_beyond_the_limit_are_counted() {
        let batch =
            RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from_iter_values(0..10)) as _)])
                .unwrap();
        let mut rows = TableRows::new(&batch.schema(), 15);
        rows.batch(&batch);
        rows.batch(&batch);
        rows.batch(&batch);
        let mut out = Vec::new();
        assert_eq!(rows.finish(&mut out).unwrap(), 15);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 15 + 4);
    }
    fn shown(batches: &[RecordBatch]) -> String {
        let mut rows = TableRows::new(&batches[0].schema(), 100);
        for batch in batches {
            rows.batch(batch);
        }
        let mut out = Vec::new();
        rows.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_value_and_no_name_commands_the_terminal() {
        let evil = "\u{1b}]0;owned\u{7}\u{9b}2J\r| 1 |\n+--+\tx";
        let column = Arc::new(StringArray::from(vec![Some(evil), Some("größer"), None]));
        let inside = ListArray::from(arrow::array::GenericListArray::new(
            Arc::new(Field::new("item", DataType::Utf8, true)),
            arrow::buffer::OffsetBuffer::from_lengths([1, 1, 1]),
            column.clone(),
            None,
        ));
        let batch = RecordBatch::try_from_iter([
            (evil, column as ArrayRef),
            ("l", Arc::new(inside) as ArrayRef),
        ])
        .unwrap();
        let text = shown(&[batch]);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
        // Three lines of frame, a head, and one line for each row.
        assert_eq!(text.lines().count(), 3 + 1 + 3, "{text}");
        let escaped = r"\u{1b}]0;owned\u{7}\u{9b}2J\r| 1 |\n+--+\tx";
        assert_eq!(text.matches(escaped).count(), 3, "{text}");
        assert!(text.contains("| größer "), "{text}");
    }

    #[test]
    fn ordinary_values_look_as_arrow_shows_them() {
        let batch = RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
            ),
            (
                "b",
                Arc::new(BinaryArray::from_vec(vec![b"\x1b", b"ab"])) as ArrayRef,
            ),
            (
                "l",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                    Some(vec![Some(1), None]),
                    None,
                ])) as ArrayRef,
            ),
        ])
        .unwrap();
        let expected = pretty_format_batches(std::slice::from_ref(&batch)).unwrap();
        assert_eq!(shown(&[batch]), format!("{expected}\n"));
    }
}
