//! The table for people: the first rows, aligned, and how many were left out.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use super::error::OutputError;

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
        let text = pretty_format_batches(&self.kept).map_err(|e| OutputError::Format {
            format: "a table",
            reason: e.to_string(),
        })?;
        writeln!(out, "{text}").map_err(OutputError::Write)?;
        Ok(self.hidden)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::Int32Array;

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
}
