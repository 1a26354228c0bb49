//! Partitions: a directory for every value of the partition columns, as in Hive.

use std::collections::VecDeque;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::{cast, partition};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::SealError;
use super::parts::Rows;
use super::plan::Plan;

/// The directory of rows without a value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Longest directory, in bytes: a manifest's path has 255, and a file's name follows.
const MAX_FOLDER: usize = 220;

/// Rows, one partition after the other. They come sorted by the partition columns.
pub(super) struct Partitions<'a> {
    rows: Rows<'a>,
    /// Places of the partition columns.
    columns: Vec<usize>,
    /// Rows taken and not given on, with their folders.
    pending: VecDeque<(String, RecordBatch)>,
}

impl<'a> Partitions<'a> {
    pub(super) fn new(plan: &Plan, rows: Rows<'a>) -> Result<Self, SealError> {
        let names = &plan.layout().partition_by;
        Ok(Self {
            rows,
            columns: places(plan, names, "partitioned by")?,
            pending: VecDeque::new(),
        })
    }

    /// The folder of the rows that come next: empty, or it ends in `/`. None at the rows' end.
    pub(super) fn folder(&mut self) -> Result<Option<String>, SealError> {
        while self.pending.is_empty() {
            let Some(batch) = self.rows.next() else {
                return Ok(None);
            };
            self.cut(&batch?)?;
        }
        Ok(self.pending.front().map(|(folder, _)| folder.clone()))
    }

    /// The rows that come next, as long as they belong into `folder`.
    pub(super) fn within(
        &mut self,
        folder: &str,
    ) -> impl Iterator<Item = Result<RecordBatch, SealError>> {
        std::iter::from_fn(move || match self.folder() {
            Ok(Some(next)) if next == folder => {
                self.pending.pop_front().map(|(_, batch)| Ok(batch))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }

    fn cut(&mut self, batch: &RecordBatch) -> Result<(), SealError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.columns.is_empty() {
            self.pending.push_back((String::new(), batch.clone()));
            return Ok(());
        }
        let mut fields = Vec::new();
        let mut values = Vec::new();
        let schema = batch.schema();
        for at in &self.columns {
            values.push(plain(batch.column(*at))?);
            fields.push(schema.field(*at));
        }
        for range in partition(&values)?.ranges() {
            let rows = batch.slice(range.start, range.len());
            let folder = folder(&fields, &values, range.start)?;
            self.pending.push_back((folder, rows));
        }
        Ok(())
    }
}

/// Values without a dictionary, and instants in UTC, which needs no table of zones.
fn plain(column: &ArrayRef) -> Result<ArrayRef, SealError> {
    let to = match column.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        _ => return Ok(ArrayRef::clone(column)),
    };
    Ok(cast(column, &to)?)
}

/// `column=value/` for every partition column.
fn folder(fields: &[&Field], values: &[ArrayRef], row: usize) -> Result<String, SealError> {
    let mut folder = String::new();
    for (field, values) in fields.iter().zip(values) {
        folder.push_str(&encoded(field.name()));
        folder.push('=');
        if values.is_null(row) {
            folder.push_str(NULL);
        } else if let Some(texts) = values.as_string_opt::<i32>() {
            folder.push_str(&encoded_value(texts.value(row)));
        } else {
            let formatter = ArrayFormatter::try_new(values, &FormatOptions::default())?;
            let text = formatter.value(row).try_to_string()?;
            folder.push_str(&encoded_value(&text));
        }
        folder.push('/');
        if folder.len() > MAX_FOLDER {
            return Err(SealError::PartitionPath {
                column: field.name().clone(),
            });
        }
    }
    Ok(folder)
}

/// A value that reads like none has its first character escaped.
fn encoded_value(text: &str) -> String {
    match text.strip_prefix('_') {
        Some(rest) if text == NULL => format!("=5F{}", encoded(rest)),
        _ => encoded(text),
    }
}

/// Letters, digits and `._-` as they are; every other byte as `=` and two hex digits, as a manifest's
/// paths know no percent sign. No point at the start: such directories are hidden.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let as_it_is =
            byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (byte == b'.' && at > 0);
        if as_it_is {
            out.push(byte.into());
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

/// Refuses layouts that the table's columns cannot have.
pub(super) fn check_layout(plan: &Plan) -> Result<(), SealError> {
    let layout = plan.layout();
    let schema = plan.schema();
    for (names, purpose) in [
        (&layout.partition_by, "partitioned by"),
        (&layout.sort_by, "sorted by"),
    ] {
        for (at, place) in places(plan, names, purpose)?.into_iter().enumerate() {
            let field = schema.field(place);
            let (name, kind) = (field.name(), field.data_type());
            let refused = |what: String| {
                Err(SealError::LayoutColumn {
                    name: name.clone(),
                    what,
                })
            };
            if names.iter().take(at).any(|before| before == name) {
                return refused("is named twice".into());
            }
            let possible = match purpose {
                "sorted by" => !kind.is_nested(),
                _ => makes_folders(kind),
            };
            if !possible {
                return refused(format!("is {kind}, by which no table can be {purpose}"));
            }
        }
    }
    let table_key = plan.table_key();
    for name in &layout.partition_by {
        let own = plan.columns().iter().find(|column| column.path == *name);
        let key = own.and_then(|column| column.key_id.as_ref());
        if key.is_some_and(|id| *id != table_key) {
            return Err(SealError::PartitionEncrypted { name: name.clone() });
        }
    }
    Ok(())
}

/// Where columns are that the layout names.
pub(super) fn places(
    plan: &Plan,
    names: &[String],
    purpose: &'static str,
) -> Result<Vec<usize>, SealError> {
    let fields = plan.schema().fields();
    let place = |name: &String| {
        let at = fields.iter().position(|field| field.name() == name);
        at.ok_or_else(|| SealError::NoSuchColumn {
            purpose,
            name: name.clone(),
            known: fields.iter().map(|field| field.name().clone()).collect(),
        })
    };
    names.iter().map(place).collect()
}

/// Types whose values have one text each, which says nothing else.
fn makes_folders(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => makes_folders(values),
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Decimal128(..) => true,
        other => other.is_integer(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<String> {
        if text == NULL {
            return None;
        }
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first == b'=' {
                let digits = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        Some(String::from_utf8(bytes).unwrap())
    }

    proptest! {
        #[test]
        fn values_come_back_and_stay_in_the_alphabet(text in "\\PC{0,40}|[ -~]{0,40}|[._=%/_-]{0,9}") {
            let folder = encoded_value(&text);
            prop_assert_eq!(decoded(&folder), Some(text));
            prop_assert!(!folder.starts_with('.'));
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=".contains(&byte);
            prop_assert!(folder.bytes().all(known));
        }
    }

    #[test]
    fn known_folders() {
        for (text, folder) in [
            ("", ""),
            ("2024-01-31", "2024-01-31"),
            ("a b/c", "a=20b=2Fc"),
            (".", "=2E"),
            ("..", "=2E."),
            ("x=1%", "x=3D1=25"),
            ("ä", "=C3=A4"),
            (NULL, "=5F_HIVE_DEFAULT_PARTITION__"),
        ] {
            assert_eq!(encoded_value(text), folder);
        }
    }
}
