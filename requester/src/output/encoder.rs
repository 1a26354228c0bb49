//! One writer per format, all fed with Arrow batches.

use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::json;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::error::OutputError;
use super::format::Format;
use super::place::Out;
use super::table::TableRows;
use super::zone;

/// Rows of one Parquet row group.
const ROW_GROUP: usize = 122_880;

pub(super) enum Encoder {
    Table(TableRows, Out),
    Csv(Box<csv::Writer<Out>>),
    Jsonl(Box<json::Writer<Out, LineDelimited>>),
    ArrowStream(Box<StreamWriter<Out>>),
    ArrowFile(Box<FileWriter<Out>>),
    Parquet(Box<ArrowWriter<Out>>),
}

fn arrow(format: &'static str) -> impl Fn(ArrowError) -> OutputError {
    move |e| match e {
        ArrowError::IoError(_, source) => OutputError::write(source),
        // The CSV writer hides the kind of its errors.
        other => OutputError::Format {
            format,
            reason: other.to_string(),
        },
    }
}

fn parquet(e: ParquetError) -> OutputError {
    OutputError::Format {
        format: "parquet",
        reason: e.to_string(),
    }
}

impl Encoder {
    pub(super) fn new(
        format: Format,
        schema: &SchemaRef,
        out: Out,
        to_file: bool,
        rows_shown: usize,
    ) -> Result<Self, OutputError> {
        Ok(match format {
            Format::Table => Self::Table(TableRows::new(&zone::schema(schema), rows_shown), out),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                // An empty batch writes the header: a result without rows has its columns too.
                writer
                    .write(&RecordBatch::new_empty(zone::schema(schema)))
                    .map_err(arrow("csv"))?;
                Self::Csv(Box::new(writer))
            }
            Format::Jsonl => Self::Jsonl(Box::new(
                json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, LineDelimited>(out),
            )),
            Format::Arrow if to_file => Self::ArrowFile(Box::new(
                FileWriter::try_new(out, schema).map_err(arrow("arrow"))?,
            )),
            Format::Arrow => Self::ArrowStream(Box::new(
                StreamWriter::try_new(out, schema).map_err(arrow("arrow"))?,
            )),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(parquet::basic::ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP))
                    .build();
                Self::Parquet(Box::new(
                    ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(parquet)?,
                ))
            }
        })
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        match self {
            Self::Table(rows, _) => {
                rows.batch(&zone::batch(batch).map_err(arrow("a table"))?);
                Ok(())
            }
            Self::Csv(writer) => zone::batch(batch)
                .and_then(|batch| writer.write(&batch))
                .map_err(arrow("csv")),
            Self::Jsonl(writer) => zone::batch(batch)
                .and_then(|batch| writer.write(&batch))
                .map_err(arrow("jsonl")),
            Self::ArrowStream(writer) => writer.write(batch).map_err(arrow("arrow")),
            Self::ArrowFile(writer) => writer.write(batch).map_err(arrow("arrow")),
            Self::Parquet(writer) => writer.write(batch).map_err(parquet),
        }
    }

    /// Ends the format; gives the output back, and the number of rows that a table left out.
    pub(super) fn finish(self) -> Result<(Out, u64), OutputError> {
        Ok(match self {
            Self::Table(rows, mut out) => {
                let hidden = rows.finish(&mut out)?;
                (out, hidden)
            }
            Self::Csv(writer) => (writer.into_inner(), 0),
            Self::Jsonl(mut writer) => {
                writer.finish().map_err(arrow("jsonl"))?;
                (writer.into_inner(), 0)
            }
            Self::ArrowStream(writer) => (writer.into_inner().map_err(arrow("arrow"))?, 0),
            Self::ArrowFile(writer) => (writer.into_inner().map_err(arrow("arrow"))?, 0),
            Self::Parquet(writer) => (writer.into_inner().map_err(parquet)?, 0),
        })
    }
}
