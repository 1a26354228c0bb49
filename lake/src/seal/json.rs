//! JSON lines: one object per line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::{Decoder, infer_json_schema_from_iterator};
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::error::SealError;
use super::input::{BATCH_BYTES, Batches, Input, MAX_RECORD, text_batch_rows, unreadable};
use super::progress::{Counted, Passed};

/// Columns of all JSON inputs together.
#[derive(Default)]
pub(super) struct Inference {
    schema: Option<Schema>,
}

impl Inference {
    /// Reads one input to its end.
    pub(super) fn observe(
        &mut self,
        input: &Input,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(), SealError> {
        let passed = Passed::default();
        let mut reader = input.open(&passed)?;
        let mut line = 0;
        let mut failed = None;
        let values = std::iter::from_fn(|| {
            let next = next_value(&mut reader, input, &mut line);
            tell(passed.get());
            match next {
                Ok(value) => value.map(Ok),
                Err(error) => {
                    failed = Some(error);
                    Some(Err(ArrowError::JsonError(String::new())))
                }
            }
        });
        let found = infer_json_schema_from_iterator(values);
        if let Some(error) = failed {
            return Err(error);
        }
        // The library's text may quote values, so it is not passed on.
        let found = found.map_err(|_| {
            input.malformed(
                Some(line),
                "an object, an array and a plain value under one name",
            )
        })?;
        match &self.schema {
            None => self.schema = Some(found),
            Some(known) => {
                let both = Schema::try_merge([known.clone(), found])
                    .map_err(|_| input.misfit("a column has another type"))?;
                self.schema = Some(both);
            }
        }
        Ok(())
    }

    /// What all of them are; `None` if there was no JSON.
    pub(super) fn finish(self) -> Option<Schema> {
        let found = self.schema?;
        Some(Schema::new(known_fields(found.fields())))
    }
}

/// The rows of one input.
pub(super) fn batches(
    input: &Input,
    schema: &SchemaRef,
    passed: &Passed,
) -> Result<Batches, SealError> {
    let most = text_batch_rows(schema);
    let mut lines = Lines {
        input: input.clone(),
        most,
        reader: input.open(passed)?,
        decoder: ReaderBuilder::new(SchemaRef::clone(schema))
            .with_batch_size(most)
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(|error| SealError::Parquet(error.to_string()))?,
        rows: 0,
    };
    Ok(Box::new(std::iter::from_fn(move || {
        lines.batch().transpose()
    })))
}

struct Lines {
    input: Input,
    /// Most rows of a batch.
    most: usize,
    reader: Counted<BufReader<File>>,
    decoder: Decoder,
    /// Rows given so far.
    rows: usize,
}

impl Lines {
    fn batch(&mut self) -> Result<Option<RecordBatch>, SealError> {
        let mut line = Vec::new();
        let mut size = 0;
        while self.decoder.len() < self.most && size < BATCH_BYTES {
            line.clear();
            let read = (&mut self.reader)
                .take(MAX_RECORD)
                .read_until(b'\n', &mut line)
                .map_err(|error| unreadable(&self.input.path, &error))?;
            if read == 0 {
                break;
            }
            size += read;
            match self.decoder.decode(&line) {
                Ok(taken) if taken == read && !self.decoder.has_partial_record() => {}
                _ => return Err(self.misfit()),
            }
        }
        let batch = self.decoder.flush().map_err(|_| self.misfit())?;
        self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(batch)
    }

    fn misfit(&self) -> SealError {
        let rows = self.rows;
        self.input.malformed(
            None,
            format!("a value after row {rows} does not fit its column's type"),
        )
    }
}

/// The object of the next line that is not blank.
fn next_value(
    reader: &mut impl BufRead,
    input: &Input,
    line: &mut u64,
) -> Result<Option<Value>, SealError> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        *line += 1;
        let read = reader
            .take(MAX_RECORD)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| unreadable(&input.path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == MAX_RECORD {
            return Err(input.malformed(Some(*line), "a line that is too long"));
        }
        if !bytes.trim_ascii().is_empty() {
            break;
        }
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let what = if error.is_eof() {
            "an object that does not end"
        } else {
            "no valid JSON"
        };
        input.malformed(Some(*line), format!("{what}, column {}", error.column()))
    })?;
    if !value.is_object() {
        return Err(input.malformed(Some(*line), "not an object: one object per line is needed"));
    }
    if loses_digits(&value) {
        return Err(input.malformed(Some(*line), "a whole number too large for 64 bits"));
    }
    Ok(Some(value))
}

/// Whether a number in it would be changed by reading it as a float.
fn loses_digits(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_u64() && !number.is_i64(),
        Value::Array(values) => values.iter().any(loses_digits),
        Value::Object(map) => map.values().any(loses_digits),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A column of nothing but nulls becomes text: Parquet has no type for it that all readers know.
fn known_fields(fields: &Fields) -> Vec<Field> {
    fields
        .iter()
        .map(|field| {
            let known = known_type(field.data_type());
            Field::new(field.name(), known, true)
        })
        .collect()
}

fn known_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => {
            let known = known_type(item.data_type());
            DataType::List(Arc::new(Field::new(item.name(), known, true)))
        }
        DataType::Struct(fields) => DataType::Struct(known_fields(fields).into()),
        other => other.clone(),
    }
}
