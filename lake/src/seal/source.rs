//! All inputs as one stream of rows with the same columns.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::csv_options::CsvOptions;
use super::error::SealError;
use super::fit::{fit, fitted_schema};
use super::input::{Batches, Input, check_names, common_schema};
use super::progress::{Passed, Progress, Stage};

/// All inputs, one after the other.
pub struct Source<'a> {
    inputs: std::vec::IntoIter<Input>,
    /// As the inputs have the columns.
    read_as: SchemaRef,
    /// As they are given on.
    schema: SchemaRef,
    /// The input that is not at its end yet.
    open: Option<Open>,
    /// Bytes of the inputs that are.
    before: u64,
    total: u64,
    rows: u64,
    failed: bool,
    progress: &'a mut dyn FnMut(Progress),
}

struct Open {
    input: Input,
    batches: Batches,
    passed: Passed,
}

impl<'a> Source<'a> {
    /// Looks at all inputs; text is read to its end to learn its columns. With a `target`, the rows
    /// are made to fit the columns of a table that exists: the same by name, whatever their order,
    /// and perhaps new ones, which come last and are nullable. No value is changed on the way.
    pub fn open(
        paths: Vec<PathBuf>,
        options: &CsvOptions,
        target: Option<&SchemaRef>,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, SealError> {
        let inputs = paths
            .into_iter()
            .map(|path| Input::new(path, options))
            .collect::<Result<Vec<_>, _>>()?;
        let total = inputs.iter().map(|input| input.size).sum();
        let read_as = common_schema(&inputs, options, target, &mut |bytes| {
            progress(Progress {
                stage: Stage::Inspecting,
                bytes,
                total_bytes: total,
                rows: 0,
            });
        })?;
        let schema = match (target, inputs.first()) {
            (Some(target), Some(input)) => fitted_schema(&read_as, target, input)?,
            _ => SchemaRef::clone(&read_as),
        };
        check_names(&schema, &inputs)?;
        Ok(Self {
            inputs: inputs.into_iter(),
            read_as,
            schema,
            open: None,
            before: 0,
            total,
            rows: 0,
            failed: false,
            progress,
        })
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows given so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, SealError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(input) = self.inputs.next() else {
                    return Ok(None);
                };
                let passed = Passed::default();
                self.open = Some(Open {
                    batches: input.batches(&self.read_as, &passed)?,
                    passed,
                    input,
                });
                continue;
            };
            let Some(batch) = open.batches.next() else {
                self.before += open.input.size;
                self.open = None;
                continue;
            };
            let batch = fit(&batch?, &self.schema).map_err(|error| open.input.placed(error))?;
            self.rows += batch.num_rows() as u64;
            (self.progress)(Progress {
                stage: Stage::Sealing,
                bytes: self.before + open.passed.get(),
                total_bytes: self.total,
                rows: self.rows,
            });
            return Ok(Some(batch));
        }
    }
}

impl Iterator for Source<'_> {
    type Item = Result<RecordBatch, SealError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.batch().transpose();
        self.failed = matches!(batch, Some(Err(_)));
        batch
    }
}
