//! A query's answer, batch by batch.

use std::sync::Arc;

use arrow::array::StructArray;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ffi::{FFI_ArrowSchema, from_ffi};
use arrow::record_batch::RecordBatch;

use crate::connection::{Connection, DuckError, RowsHandle};
use crate::error::EngineError;

/// A running query. The engine computes ahead by some 10 MiB and then waits to be asked: memory stays
/// bounded however large the answer is. Dropping it ends the query.
pub struct Rows {
    // Declared first, so that it goes before the connection it lives on.
    handle: RowsHandle,
    connection: Arc<Connection>,
    layout: FFI_ArrowSchema,
    schema: SchemaRef,
    ended: bool,
}

impl Rows {
    pub(crate) fn new(
        mut handle: RowsHandle,
        connection: Arc<Connection>,
    ) -> Result<Self, EngineError> {
        let layout = handle.schema().map_err(EngineError::of_query)?;
        let schema = Arc::new(Schema::try_from(&layout)?);
        Ok(Self {
            handle,
            connection,
            layout,
            schema,
            ended: false,
        })
    }

    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next batch, never empty; `None` once the answer is complete. After an error there is
    /// nothing more.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.fetch();
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }

    fn fetch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let array = match self.handle.next() {
            Ok(Some(array)) => array,
            // A read that failed and that DuckDB did not mind would still mean a wrong answer.
            Ok(None) => return self.connection.files().take_failure().map_or(Ok(None), Err),
            Err(error) => return Err(self.explain(error)),
        };
        // SAFETY: the array was just moved out of DuckDB together with its release function, and it has
        // the layout that DuckDB states for this very result.
        let data = unsafe { from_ffi(array, &self.layout) }?;
        let (_, columns, _) = StructArray::from(data).into_parts();
        Ok(Some(RecordBatch::try_new(self.schema(), columns)?))
    }

    fn explain(&self, error: DuckError) -> EngineError {
        self.connection
            .files()
            .take_failure()
            .unwrap_or_else(|| EngineError::of_query(error))
    }
}
