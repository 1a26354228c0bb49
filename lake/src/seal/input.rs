//! The sealer's inputs: their format, their common columns, their rows.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::csv_options::{CsvOptions, Delimiter};
use super::error::SealError;
use super::progress::{Counted, Passed};
use super::{arrow_in, csv, json, parquet_in};

/// Most rows read at a time from text: a batch of long rows must still fit into memory.
const TEXT_BATCH_ROWS: usize = 1024;
/// Bytes of rows after which a batch ends early.
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// Longest record of a text input, in bytes.
pub(super) const MAX_RECORD: u64 = 16 << 20;

/// Rows read at a time from text: decoders make room for every leaf of a batch.
pub(super) fn text_batch_rows(schema: &Schema) -> usize {
    (BATCH_BYTES / 16 / leaves(schema).max(1)).clamp(16, TEXT_BATCH_ROWS)
}

/// Leaf columns.
pub(super) fn leaves(schema: &Schema) -> usize {
    fn of(kind: &DataType) -> usize {
        match kind {
            DataType::Struct(fields) => fields.iter().map(|field| of(field.data_type())).sum(),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _) => of(item.data_type()),
            _ => 1,
        }
    }
    let fields = schema.fields().iter();
    fields.map(|field| of(field.data_type())).sum()
}

/// A format that can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Separated by this byte.
    Csv(u8),
    /// One JSON object per line.
    JsonLines,
    /// Unencrypted Parquet.
    Parquet,
    /// Arrow IPC, as a file or as a stream.
    Arrow,
}

/// One input file.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    /// In bytes.
    pub(super) size: u64,
}

/// Rows of one input.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, SealError>>>;

impl Input {
    /// Looks at the file's name and size.
    pub(super) fn new(path: PathBuf, options: &CsvOptions) -> Result<Self, SealError> {
        let about = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if !about.is_file() {
            return Err(SealError::Input {
                path,
                kind: std::io::ErrorKind::InvalidInput,
            });
        }
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or("");
        let separated = |usual| Format::Csv(options.delimiter.map_or(usual, Delimiter::byte));
        let format = match ending.to_ascii_lowercase().as_str() {
            "csv" => separated(b','),
            "tsv" | "tab" => separated(b'\t'),
            "json" | "jsonl" | "ndjson" => Format::JsonLines,
            "parquet" => Format::Parquet,
            "arrow" | "arrows" | "feather" | "ipc" => Format::Arrow,
            _ => return Err(SealError::Format { path }),
        };
        Ok(Self {
            path,
            format,
            size: about.len(),
        })
    }

    /// Opens the file for reading from its start.
    pub(super) fn open(&self, passed: &Passed) -> Result<Counted<BufReader<File>>, SealError> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        Ok(Counted::new(
            BufReader::with_capacity(1 << 18, file),
            Passed::clone(passed),
        ))
    }

    /// The rows, as `schema` says.
    pub(super) fn batches(
        &self,
        schema: &SchemaRef,
        passed: &Passed,
    ) -> Result<Batches, SealError> {
        match self.format {
            Format::Csv(delimiter) => csv::batches(self, delimiter, schema, passed),
            Format::JsonLines => json::batches(self, schema, passed),
            Format::Parquet => parquet_in::batches(self, schema, passed),
            Format::Arrow => arrow_in::batches(self, schema, passed),
        }
    }

    /// An error at a place of this input.
    pub(super) fn malformed(&self, line: Option<u64>, what: impl Into<String>) -> SealError {
        SealError::Malformed {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }

    /// An error of this input against the table that it is for.
    pub(super) fn unfit(&self, what: impl Into<String>) -> SealError {
        SealError::Table {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// The same error with this input's name.
    pub(super) fn placed(&self, error: SealError) -> SealError {
        match error {
            SealError::Unfit { column, what } => self.unfit(format!("column `{column}` {what}")),
            other => other,
        }
    }

    /// An error of this input against the ones before it.
    pub(super) fn misfit(&self, what: impl Into<String>) -> SealError {
        SealError::Schema {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}

/// The columns that all inputs have in common; text is read to its end for it. `report` hears of
/// the bytes passed. Text is read with the types of `target`, where it has such a column.
pub(super) fn common_schema(
    inputs: &[Input],
    options: &CsvOptions,
    target: Option<&SchemaRef>,
    report: &mut dyn FnMut(u64),
) -> Result<SchemaRef, SealError> {
    let is_csv = |input: &Input| matches!(input.format, Format::Csv(_));
    if !options.is_default() && !inputs.iter().any(is_csv) {
        return Err(SealError::NoCsv);
    }
    let mut csv = csv::Inference::new(options, target);
    let mut json = json::Inference::default();
    let mut schema: Option<Schema> = None;
    let mut before = 0;
    for input in inputs {
        let mut tell = |bytes: u64| report(before + bytes);
        match input.format {
            Format::Csv(delimiter) => csv.observe(input, delimiter, &mut tell)?,
            Format::JsonLines => json.observe(input, &mut tell)?,
            Format::Parquet => merge(&mut schema, parquet_in::schema(input)?, input)?,
            Format::Arrow => merge(&mut schema, arrow_in::schema(input)?, input)?,
        }
        before += input.size;
        report(before);
    }
    // Text inputs meet the others only when all of them were seen.
    for (found, format) in [(csv.finish(), "CSV"), (json.finish(), "JSON")] {
        if let Some(found) = found {
            let input = inputs.iter().find(|input| match input.format {
                Format::Csv(_) => format == "CSV",
                Format::JsonLines => format == "JSON",
                Format::Parquet | Format::Arrow => false,
            });
            merge(&mut schema, found, input.ok_or(SealError::NoInput)?)?;
        }
    }
    schema.map(Arc::new).ok_or(SealError::NoInput)
}

/// Same names and types in the same order; nullable where one of them is.
fn merge(known: &mut Option<Schema>, found: Schema, input: &Input) -> Result<(), SealError> {
    let Some(schema) = known else {
        *known = Some(found);
        return Ok(());
    };
    if schema.fields().len() != found.fields().len() {
        return Err(input.misfit(format!(
            "{} columns, not {}",
            found.fields().len(),
            schema.fields().len()
        )));
    }
    let mut fields = Vec::new();
    for (ours, theirs) in schema.fields().iter().zip(found.fields()) {
        if ours.name() != theirs.name() {
            return Err(input.misfit(format!(
                "column `{}` where `{}` should be",
                theirs.name(),
                ours.name()
            )));
        }
        if ours.data_type() != theirs.data_type() {
            return Err(input.misfit(format!(
                "column `{}` is {}, not {}",
                theirs.name(),
                theirs.data_type(),
                ours.data_type()
            )));
        }
        let nullable = ours.is_nullable() || theirs.is_nullable();
        fields.push(ours.as_ref().clone().with_nullable(nullable));
    }
    *known = Some(Schema::new(fields));
    Ok(())
}

/// SQL does not tell names apart by case.
pub(super) fn check_names(schema: &Schema, inputs: &[Input]) -> Result<(), SealError> {
    let path = || {
        inputs
            .first()
            .map(|input| input.path.clone())
            .unwrap_or_default()
    };
    if schema.fields().is_empty() {
        return Err(SealError::Malformed {
            path: path(),
            line: Some(1),
            what: "no columns".into(),
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    for field in schema.fields() {
        if field.name().is_empty() || !seen.insert(field.name().to_lowercase()) {
            return Err(SealError::Malformed {
                path: path(),
                line: None,
                what: if field.name().is_empty() {
                    "a column without a name".into()
                } else {
                    format!("two columns named `{}`", field.name())
                },
            });
        }
    }
    Ok(())
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> SealError {
    SealError::Input {
        path: path.into(),
        kind: error.kind(),
    }
}
