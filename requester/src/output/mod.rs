//! Results as people and programs want them: a table, CSV, JSON lines, Arrow, Parquet.
//!
//! To a file: written beside its place and renamed into it by [`Output::commit`] only, so a result
//! that was cut never lies there. To stdout: as it comes; whoever reads it looks at the exit code.

mod encoder;
mod error;
mod format;
mod place;
mod table;
pub(crate) mod visible;
mod zone;

use std::path::Path;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

pub use error::OutputError;
pub use format::Format;
pub use table::DEFAULT_ROWS;

use encoder::Encoder;
use place::{Fault, Place};

/// Where a result goes, in one format.
pub struct Output {
    format: Format,
    rows_shown: usize,
    place: Place,
    encoder: Option<Encoder>,
    wrote: bool,
    fault: Fault,
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Rows that a table left out.
    pub rows_hidden: u64,
}

impl Output {
    /// To a file, or to stdout. `rows_shown` bounds what a table shows.
    pub fn create(
        format: Format,
        file: Option<&Path>,
        rows_shown: usize,
    ) -> Result<Self, OutputError> {
        let place = match file {
            Some(path) => Place::file(path)?,
            None => Place::stdout(format)?,
        };
        Ok(Self {
            format,
            rows_shown,
            place,
            encoder: None,
            wrote: false,
            fault: Fault::default(),
        })
    }

    /// The columns; once, before any row.
    pub fn schema(&mut self, schema: &SchemaRef) -> Result<(), OutputError> {
        let out = self.place.writer(&self.fault)?;
        let to_file = self.place.is_file();
        let encoder = Encoder::new(self.format, schema, out, to_file, self.rows_shown);
        self.encoder = Some(encoder.map_err(|e| self.fault.or(e))?);
        Ok(())
    }

    /// Rows.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let encoder = self.encoder.as_mut().ok_or(OutputError::NoSchema)?;
        self.wrote |= self.format.streams();
        encoder.batch(batch).map_err(|e| self.fault.or(e))
    }

    /// Whether rows have left for stdout that cannot be taken back.
    pub fn is_out(&self) -> bool {
        self.wrote && !self.place.is_file()
    }

    /// The result is whole: finishes the format and puts a file into its place.
    pub fn commit(mut self) -> Result<Written, OutputError> {
        let encoder = self.encoder.take().ok_or(OutputError::NoSchema)?;
        let (out, rows_hidden) = encoder.finish().map_err(|e| self.fault.or(e))?;
        self.place.commit(out)?;
        Ok(Written { rows_hidden })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray};
    use duckblind_protocol::coded::{Coded as _, Exit};

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int32Array::from(vec![Some(1), None])) as _),
            ("s", Arc::new(StringArray::from(vec!["a,b", "ü"])) as _),
        ])
        .unwrap()
    }

    fn write(format: Format, name: &str) -> (tempfile::TempDir, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let mut output = Output::create(format, Some(&path), 10).unwrap();
        output.schema(&batch().schema()).unwrap();
        output.batch(&batch()).unwrap();
        assert!(!path.exists(), "nothing is there before it is whole");
        output.commit().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (dir, bytes)
    }

    #[test]
    fn text_formats() {
        let (_dir, csv) = write(Format::Csv, "a.csv");
        assert_eq!(String::from_utf8(csv).unwrap(), "n,s\n1,\"a,b\"\n,ü\n");
        let (_dir, lines) = write(Format::Jsonl, "a.jsonl");
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "{\"n\":1,\"s\":\"a,b\"}\n{\"n\":null,\"s\":\"ü\"}\n"
        );
        let (_dir, table) = write(Format::Table, "a.txt");
        assert!(String::from_utf8(table).unwrap().contains("| 1 | a,b |"));
    }

    /// A result in one format, with whatever the writer says at its end.
    fn into(format: Format, file: std::fs::File) -> Result<Written, OutputError> {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::create(format, Some(&dir.path().join("a")), 10)?;
        if let Place::File { file: own, .. } = &mut output.place {
            *own = Some(file);
        }
        output.schema(&batch().schema())?;
        output.batch(&batch())?;
        output.commit()
    }

    const ALL: [Format; 5] = [
        Format::Table,
        Format::Csv,
        Format::Jsonl,
        Format::Arrow,
        Format::Parquet,
    ];

    #[test]
    fn a_reader_that_has_gone_is_no_bug() {
        for format in ALL {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let file = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
            let error = into(format, file).unwrap_err();
            assert!(matches!(error, OutputError::Closed), "{format:?} {error:?}");
            assert_eq!(error.exit(), Exit::Cancelled);
        }
    }

    #[test]
    fn a_full_disk_is_said_to_be_full() {
        for format in ALL {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
            let error = into(format, full.unwrap()).unwrap_err();
            assert_eq!(error.code(), "DB-REQ-070", "{format:?} {error:?}");
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.hint().unwrap().contains("space"));
        }
    }

    #[test]
    fn instants_with_a_zone_are_text_with_an_offset() {
        use arrow::array::TimestampMicrosecondArray;
        for zone in ["UTC", "Etc/UTC", "+00:00"] {
            let times = TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None])
                .with_timezone(zone);
            let batch = RecordBatch::try_from_iter([("t", Arc::new(times) as _)]).unwrap();
            for format in [Format::Table, Format::Csv, Format::Jsonl] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("a");
                let mut output = Output::create(format, Some(&path), 10).unwrap();
                output.schema(&batch.schema()).unwrap();
                output.batch(&batch).unwrap();
                output.commit().unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains("2023-11-14T22:13:20.123456Z"), "{text}");
            }
        }
    }

    #[test]
    fn arrow_and_parquet_read_back() {
        let (_dir, bytes) = write(Format::Arrow, "a.arrow");
        let reader =
            arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(batches, [batch()]);

        let (_dir, bytes) = write(Format::Parquet, "a.parquet");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(
            bytes::Bytes::from(bytes),
            100,
        )
        .unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(batches, [batch()]);
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "old").unwrap();
        let mut output = Output::create(Format::Csv, Some(&path), 10).unwrap();
        output.schema(&batch().schema()).unwrap();
        output.batch(&batch()).unwrap();
        drop(output);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_result_has_its_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut output = Output::create(Format::Csv, Some(&path), 10).unwrap();
        output.schema(&batch().schema()).unwrap();
        output.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "n,s\n");
    }
}
