//! Cutting rows where the value of a partition column changes.

use super::error::SealError;
use super::parts::Rows;
use super::plan::Plan;

/// Rows, one partition after the other.
pub(super) struct Partitions<'a> {
    rows: std::iter::Peekable<Rows<'a>>,
}

impl<'a> Partitions<'a> {
    pub(super) fn new(_plan: &Plan, rows: Rows<'a>) -> Result<Self, SealError> {
        Ok(Self {
            rows: rows.peekable(),
        })
    }

    /// The folder of the rows that come next: empty, or it ends in `/`. None at the rows' end.
    pub(super) fn folder(&mut self) -> Result<Option<String>, SealError> {
        Ok(self.rows.peek().map(|_| String::new()))
    }

    /// The rows that come next, as long as they belong into `folder`.
    pub(super) fn within(
        &mut self,
        _folder: &str,
    ) -> impl Iterator<Item = Result<arrow::record_batch::RecordBatch, SealError>> {
        self.rows.by_ref()
    }
}

/// Refuses layouts that the table's columns cannot have.
pub(super) fn check_layout(_plan: &Plan) -> Result<(), SealError> {
    Ok(())
}
