//! CSV and TSV: the first line names the columns, an empty field is NULL, quotes as in RFC 4180.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use arrow::array::{AsArray as _, StringArray};
use arrow::csv::reader::{Decoder, Format as CsvFormat, ReaderBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::csv_lines::{BadQuote, Lines, line_of_record};
use super::csv_options::{ColumnType, CsvOptions};
use super::csv_types::Guess;
use super::error::SealError;
use super::input::{Batches, Input, MAX_RECORD, text_batch_rows, unreadable};
use super::progress::{Counted, Passed};

/// Bytes after which a batch ends early,
const BATCH_BYTES: u64 = super::input::BATCH_BYTES as u64;
/// and the most it may have where no line ends.
const MAX_BATCH: u64 = 64 << 20;

/// Column names and types of all CSV inputs together.
pub(super) struct Inference<'a> {
    given: &'a [(String, ColumnType)],
    /// The columns of the table that the rows are for.
    target: Option<&'a SchemaRef>,
    columns: Option<Vec<Column>>,
}

struct Column {
    name: String,
    kind: Kind,
}

enum Kind {
    Given(ColumnType),
    Inferred(Guess),
}

impl Column {
    /// Takes the values of one batch into account. The error is the row of the first one that does
    /// not have the type given.
    fn observe(&mut self, values: &StringArray) -> Result<(), (usize, ColumnType)> {
        match &mut self.kind {
            Kind::Inferred(Guess::Text) => Ok(()),
            Kind::Inferred(guess) => {
                values
                    .iter()
                    .flatten()
                    .for_each(|value| guess.observe(value));
                Ok(())
            }
            Kind::Given(given) => {
                let fits = |value: Option<&str>| value.is_none_or(|value| given.holds(value));
                match values.iter().position(|value| !fits(value)) {
                    Some(row) => Err((row, *given)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl<'a> Inference<'a> {
    pub(super) fn new(options: &'a CsvOptions, target: Option<&'a SchemaRef>) -> Self {
        Self {
            given: &options.types,
            target,
            columns: None,
        }
    }

    /// Reads one input to its end.
    pub(super) fn observe(
        &mut self,
        input: &Input,
        delimiter: u8,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(), SealError> {
        let names = header(input, delimiter)?;
        let columns = match &mut self.columns {
            Some(columns) => {
                if !columns.iter().map(|column| &column.name).eq(&names) {
                    return Err(input.misfit("another header line"));
                }
                columns
            }
            none => none.insert(columns_of(names, self.given, self.target)?),
        };
        let text: Vec<_> = columns
            .iter()
            .map(|column| Field::new(&column.name, DataType::Utf8, true))
            .collect();
        let passed = Passed::default();
        let mut read = Records::new(input, delimiter, Arc::new(Schema::new(text)), &passed)?;
        while let Some(batch) = read.batch()? {
            for (column, values) in columns.iter_mut().zip(batch.columns()) {
                let Some(values) = values.as_string_opt::<i32>() else {
                    continue;
                };
                column
                    .observe(values)
                    .map_err(|(row, wanted)| SealError::Value {
                        path: input.path.clone(),
                        line: read.line_in(&batch, row),
                        column: column.name.clone(),
                        wanted,
                    })?;
            }
            tell(passed.get());
        }
        Ok(())
    }

    /// What all of them are; `None` if there was no CSV.
    pub(super) fn finish(self) -> Option<Schema> {
        let fields: Vec<_> = self
            .columns?
            .into_iter()
            .map(|column| {
                let data_type = match column.kind {
                    Kind::Given(given) => given.data_type(),
                    Kind::Inferred(guess) => guess.data_type(),
                };
                Field::new(column.name, data_type, true)
            })
            .collect();
        Some(Schema::new(fields))
    }
}

/// Every given type must be one column's. SQL does not tell their names apart by case.
fn columns_of(
    names: Vec<String>,
    given: &[(String, ColumnType)],
    target: Option<&SchemaRef>,
) -> Result<Vec<Column>, SealError> {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    for (at, (wanted, _)) in given.iter().enumerate() {
        if !names.iter().any(|name| same(name, wanted)) {
            return Err(SealError::UnknownColumn {
                name: wanted.clone(),
                known: names,
            });
        }
        if given
            .iter()
            .skip(at + 1)
            .any(|(other, _)| same(other, wanted))
        {
            return Err(SealError::TwoTypes {
                name: wanted.clone(),
            });
        }
    }
    let column = |name: String| {
        let typed = given.iter().find(|(wanted, _)| same(wanted, &name));
        let of_table = || {
            let field = target?.field_with_name(&name).ok()?;
            ColumnType::of(field.data_type())
        };
        let kind = typed.map(|(_, kind)| *kind).or_else(of_table);
        Column {
            kind: kind.map_or(Kind::Inferred(Guess::default()), Kind::Given),
            name,
        }
    };
    Ok(names.into_iter().map(column).collect())
}

/// The rows of one input.
pub(super) fn batches(
    input: &Input,
    delimiter: u8,
    schema: &SchemaRef,
    passed: &Passed,
) -> Result<Batches, SealError> {
    let mut read = Records::new(input, delimiter, SchemaRef::clone(schema), passed)?;
    let mut failed = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let batch = read.batch().transpose();
        failed = matches!(batch, Some(Err(_)));
        batch
    })))
}

/// The names of the first line.
fn header(input: &Input, delimiter: u8) -> Result<Vec<String>, SealError> {
    use std::io::Read as _;
    let passed = Passed::default();
    // A first line without end must not fill the memory.
    let start = input.open(&passed)?.take(MAX_RECORD);
    let (schema, _) = CsvFormat::default()
        .with_header(true)
        .with_delimiter(delimiter)
        .infer_schema(start, Some(0))
        .map_err(|_| input.malformed(Some(1), "the header line does not parse"))?;
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    if names.is_empty() || names.iter().all(String::is_empty) {
        return Err(input.malformed(Some(1), "no header line"));
    }
    if let Some(at) = names.iter().position(String::is_empty) {
        return Err(input.malformed(Some(1), format!("column {} has no name", at + 1)));
    }
    Ok(names)
}

/// Reads batches; knows the line of every error.
struct Records {
    input: Input,
    delimiter: u8,
    /// Most rows of a batch.
    most: usize,
    reader: Counted<BufReader<File>>,
    decoder: Decoder,
    /// Records given out, the header among them.
    given: u64,
    lines: Lines,
}

impl Records {
    fn new(
        input: &Input,
        delimiter: u8,
        schema: SchemaRef,
        passed: &Passed,
    ) -> Result<Self, SealError> {
        let most = text_batch_rows(&schema);
        Ok(Self {
            input: input.clone(),
            delimiter,
            most,
            reader: input.open(passed)?,
            decoder: ReaderBuilder::new(schema)
                .with_header(true)
                .with_delimiter(delimiter)
                .with_batch_size(most)
                .build_decoder(),
            given: 1,
            lines: Lines::new(delimiter),
        })
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, SealError> {
        let mut rows = 0;
        let mut since_row = 0_u64;
        let mut since_batch = 0_u64;
        loop {
            let bytes = self
                .reader
                .fill_buf()
                .map_err(|error| unreadable(&self.input.path, &error))?;
            // A long batch ends with the next line that ends a record.
            let line_end = bytes.iter().position(|byte| *byte == b'\n');
            let bytes = match line_end {
                Some(at) if since_batch >= BATCH_BYTES => bytes.get(..=at).unwrap_or(bytes),
                _ => bytes,
            };
            let decoded = self.decoder.decode(bytes);
            let taken = *decoded.as_ref().unwrap_or(&0);
            let quotes = self.lines.feed(bytes.get(..taken).unwrap_or(&[]));
            let (at_end, length) = (bytes.is_empty(), bytes.len());
            decoded.map_err(|error| self.broken(&error))?;
            quotes.map_err(|bad| self.bad_quote(bad))?;
            self.reader.consume(taken);
            if at_end {
                self.lines.end().map_err(|bad| self.bad_quote(bad))?;
            }
            let buffered = self.most - self.decoder.capacity();
            if taken == 0 || buffered == self.most {
                break;
            }
            let long = since_batch >= BATCH_BYTES && taken == length;
            if long && line_end.is_some() && buffered > 0 && self.lines.between_records() {
                break;
            }
            since_batch += taken as u64;
            since_row = if buffered > rows {
                0
            } else {
                since_row + taken as u64
            };
            rows = buffered;
            if since_row > MAX_RECORD || since_batch > MAX_BATCH {
                let line = self.line(self.given + rows as u64 + 1);
                return Err(self
                    .input
                    .malformed(line, "a record that is too long, or a quote never closed"));
            }
        }
        let batch = self.decoder.flush().map_err(|error| self.broken(&error))?;
        if let Some(batch) = &batch {
            self.given += batch.num_rows() as u64;
        }
        Ok(batch)
    }

    /// The library's error without the values that it may quote.
    fn broken(&self, error: &ArrowError) -> SealError {
        let text = error.to_string();
        let record = text
            .split_once("line ")
            .map(|(_, rest)| {
                rest.chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            })
            .and_then(|digits| digits.parse::<u64>().ok());
        if let Some((_, counts)) = text.split_once("expected ")
            && text.contains("incorrect number of fields")
        {
            return SealError::Fields {
                path: self.input.path.clone(),
                line: record.and_then(|at| self.line(at)),
                counts: counts.into(),
            };
        }
        let (what, record) = if text.contains("UTF-8") {
            ("text that is not UTF-8", record)
        } else {
            // Values are counted from the header as record 0, unlike all others.
            (
                "a value changed while the file was read",
                record.map(|at| at + 1),
            )
        };
        self.input
            .malformed(record.and_then(|at| self.line(at)), what)
    }

    fn bad_quote(&self, bad: BadQuote) -> SealError {
        match bad {
            BadQuote::Open(line) => self
                .input
                .malformed(Some(line), "a quote that is never closed"),
            BadQuote::TextBehind(line) => self
                .input
                .malformed(Some(line), "text behind a closing quote"),
        }
    }

    /// The line of a row of the batch that was just given out.
    fn line_in(&self, batch: &RecordBatch, row: usize) -> Option<u64> {
        self.line(self.given - batch.num_rows() as u64 + row as u64 + 1)
    }

    fn line(&self, record: u64) -> Option<u64> {
        let again = self.input.open(&Passed::default()).ok()?;
        line_of_record(again, self.delimiter, record).ok().flatten()
    }
}
