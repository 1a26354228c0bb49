//! Arrow batches out of the opened chunks of a result.

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;

use super::failure::JobFailure;

/// Takes the bytes of an Arrow IPC stream as they come.
#[derive(Default)]
pub(super) struct BatchDecoder {
    decoder: StreamDecoder,
    announced: bool,
}

/// What came out.
#[derive(Clone, Debug)]
pub enum Event {
    /// The columns; always first, once.
    Schema(SchemaRef),
    /// Rows. They count only when the job has been finished without an error.
    Batch(RecordBatch),
}

impl BatchDecoder {
    /// Feeds one chunk; hands out what is complete.
    pub(super) fn feed(&mut self, chunk: Vec<u8>) -> Result<Vec<Event>, JobFailure> {
        let mut events = Vec::new();
        let mut buffer = Buffer::from_vec(chunk);
        while !buffer.is_empty() {
            let batch = self
                .decoder
                .decode(&mut buffer)
                .map_err(|e| JobFailure::Result(e.to_string()))?;
            self.announce(&mut events);
            events.extend(batch.map(Event::Batch));
        }
        Ok(events)
    }

    /// At the end of a whole result: nothing may be left over and columns must be known.
    pub(super) fn finish(&mut self) -> Result<(), JobFailure> {
        self.decoder
            .finish()
            .map_err(|e| JobFailure::Result(e.to_string()))?;
        if self.announced {
            Ok(())
        } else {
            Err(JobFailure::Result("it has no schema".into()))
        }
    }

    fn announce(&mut self, events: &mut Vec<Event>) {
        if !self.announced
            && let Some(schema) = self.decoder.schema()
        {
            self.announced = true;
            events.push(Event::Schema(schema));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::ipc::writer::StreamWriter;

    fn stream(batches: usize) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from_iter_values(0..100)) as _),
            (
                "s",
                Arc::new(StringArray::from_iter_values(
                    (0..100).map(|n| n.to_string()),
                )) as _,
            ),
        ])
        .unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        for _ in 0..batches {
            writer.write(&batch).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn feed(bytes: &[u8], size: usize) -> (usize, usize) {
        let mut decoder = BatchDecoder::default();
        let (mut schemas, mut rows) = (0, 0);
        for chunk in bytes.chunks(size) {
            for event in decoder.feed(chunk.to_vec()).unwrap() {
                match event {
                    Event::Schema(_) => {
                        assert_eq!(rows, 0);
                        schemas += 1;
                    }
                    Event::Batch(batch) => rows += batch.num_rows(),
                }
            }
        }
        decoder.finish().unwrap();
        (schemas, rows)
    }

    #[test]
    fn any_cut_into_chunks_gives_the_same() {
        let bytes = stream(3);
        for size in [1, 7, 64, 1000, bytes.len()] {
            assert_eq!(feed(&bytes, size), (1, 300));
        }
        // A result without rows still has columns.
        assert_eq!(feed(&stream(0), 16), (1, 0));
    }

    #[test]
    fn half_a_stream_is_not_a_result() {
        let bytes = stream(2);
        let mut decoder = BatchDecoder::default();
        let (half, _) = bytes.split_at(bytes.len() / 2);
        let _ = decoder.feed(half.to_vec()).unwrap();
        assert!(decoder.finish().is_err());
        assert!(BatchDecoder::default().finish().is_err());
    }
}
