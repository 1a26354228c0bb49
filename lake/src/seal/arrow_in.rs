//! Arrow IPC as an input: files (also called Feather, version 2) and streams.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;
use arrow::record_batch::RecordBatch;

use super::arrow_messages::Messages;
use super::error::SealError;
use super::input::{BATCH_BYTES, Batches, Input};
use super::progress::Passed;

/// Rows given on at a time.
const BATCH_ROWS: usize = 8192;
/// What ends a stream.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The columns. One of nothing but nulls becomes text, as in JSON.
pub(super) fn schema(input: &Input) -> Result<Schema, SealError> {
    let message = Messages::open(input, &Passed::default())?.next()?;
    let schema = message.as_deref().and_then(|message| {
        let message = root_as_message(message.get(8..)?).ok()?;
        try_fb_to_schema(message.header_as_schema()?).ok()
    });
    let schema =
        schema.ok_or_else(|| input.malformed(None, "it does not begin with its columns"))?;
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Null => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => Arc::clone(field),
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The rows.
pub(super) fn batches(
    input: &Input,
    schema: &SchemaRef,
    passed: &Passed,
) -> Result<Batches, SealError> {
    let mut reader = Reader {
        messages: Messages::open(input, passed)?,
        decoder: StreamDecoder::new(),
        bytes: Buffer::from_vec(Vec::<u8>::new()),
        input: input.clone(),
        schema: SchemaRef::clone(schema),
        rest: None,
        ended: false,
    };
    Ok(Box::new(std::iter::from_fn(move || {
        reader.next().transpose()
    })))
}

struct Reader {
    input: Input,
    schema: SchemaRef,
    messages: Messages,
    decoder: StreamDecoder,
    /// Bytes of messages that the decoder did not take yet.
    bytes: Buffer,
    /// Rows that were decoded and not given on.
    rest: Option<RecordBatch>,
    ended: bool,
}

impl Reader {
    fn next(&mut self) -> Result<Option<RecordBatch>, SealError> {
        loop {
            match self.rest.take() {
                Some(rest) if rest.num_rows() > 0 => return self.piece(&rest).map(Some),
                _ => {}
            }
            if !self.bytes.is_empty() {
                // The library panics at some bytes, and its texts may quote what is in the file.
                // After an error the decoder is not used again.
                let decode = || self.decoder.decode(&mut self.bytes);
                self.rest = match catch_unwind(AssertUnwindSafe(decode)) {
                    Ok(Ok(rows)) => rows,
                    _ => {
                        let what = "a message that is no valid Arrow";
                        return Err(self.input.malformed(None, what));
                    }
                };
            } else if self.ended {
                return Ok(None);
            } else {
                self.bytes = self.messages.next()?.unwrap_or_else(|| {
                    self.ended = true;
                    Buffer::from(&END)
                });
            }
        }
    }

    /// The first rows of a batch of any size, with the columns that were asked for.
    fn piece(&mut self, batch: &RecordBatch) -> Result<RecordBatch, SealError> {
        let rows = batch.num_rows();
        let row_size = (batch.get_array_memory_size() / rows).max(1);
        let many = rows.min((BATCH_BYTES / row_size).clamp(1, BATCH_ROWS));
        self.rest = Some(batch.slice(many, rows - many));
        let piece = batch.slice(0, many);
        let columns = piece
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Null => new_null_array(&DataType::Utf8, many),
                _ => ArrayRef::clone(column),
            });
        RecordBatch::try_new(SchemaRef::clone(&self.schema), columns.collect())
            .map_err(|_| self.input.misfit("its columns changed while it was read"))
    }
}
