//! Rows as typed values, and the one rule by which two answers are equal: same columns and types, same rows
//! as a multiset, the ORDER BY columns equal line by line, decimals exact, doubles within 1e-9 of each other.

use std::cmp::Ordering;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// Largest relative difference that two doubles may have and still be equal.
const DOUBLE_TOLERANCE: f64 = 1e-9;

/// The same for answers of another SQL, which may round an average to a decimal.
const OWN_TYPES_TOLERANCE: f64 = 1e-4;

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// Any integer type up to 64 bits, signed or not, and HUGEINT (a decimal of scale 0).
    Integer(i128),
    /// Unscaled value and scale.
    Decimal(i128, i8),
    /// FLOAT and DOUBLE.
    Double(f64),
    /// VARCHAR.
    Text(String),
    /// BLOB.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
}

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) => 2,
            Self::Decimal(..) => 3,
            Self::Double(_) => 4,
            Self::Text(_) => 5,
            Self::Bytes(_) => 6,
            Self::Date(_) => 7,
            Self::Timestamp(_) => 8,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Decimal(a, s), Self::Decimal(b, t)) => s.cmp(t).then(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Equal under the rule of this module.
    pub fn same(&self, other: &Self) -> bool {
        self.near(other, DOUBLE_TOLERANCE)
    }

    fn near(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Double(a), Self::Double(b)) => {
                a == b
                    || (a.is_nan() && b.is_nan())
                    || (a - b).abs() <= tolerance * a.abs().max(b.abs())
            }
            _ => self == other,
        }
    }

    /// Every number as a double.
    fn as_double(&self) -> Self {
        match self {
            Self::Integer(v) => Self::Double(*v as f64),
            Self::Decimal(v, scale) => Self::Double(*v as f64 / 10f64.powi(i32::from(*scale))),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Decimal(v, scale) => {
                let scale = usize::try_from(*scale).unwrap_or(0);
                let digits = format!("{:0>width$}", v.unsigned_abs(), width = scale + 1);
                let (whole, part) = digits.split_at(digits.len() - scale);
                let sign = if *v < 0 { "-" } else { "" };
                if part.is_empty() {
                    write!(f, "{sign}{whole}")
                } else {
                    write!(f, "{sign}{whole}.{part}")
                }
            }
            Self::Double(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
            Self::Bytes(v) => f.write_str(&hex::encode(v)),
            Self::Date(v) => write!(f, "day {v}"),
            Self::Timestamp(v) => write!(f, "{v} us"),
        }
    }
}

/// An answer: column names with their types, and rows.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Name and type, in order.
    pub columns: Vec<(String, String)>,
    /// The rows, in the order in which they came.
    pub rows: Vec<Vec<Value>>,
}

impl Answer {
    /// Reads an answer out of Arrow batches (an empty list has no columns).
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self> {
        let mut answer = Self {
            columns: Vec::new(),
            rows: Vec::new(),
        };
        if let Some(first) = batches.first() {
            answer.columns = first
                .schema()
                .fields()
                .iter()
                .map(|f| (f.name().clone(), type_name(f.data_type())))
                .collect();
        }
        for batch in batches {
            for row in 0..batch.num_rows() {
                let values = batch
                    .columns()
                    .iter()
                    .map(|column| value(column.as_ref(), row))
                    .collect::<Result<Vec<_>>>()?;
                answer.rows.push(values);
            }
        }
        Ok(answer)
    }

    /// The only value of an answer of one row and one column.
    pub fn single(&self) -> Result<&Value> {
        match self.rows.as_slice() {
            [row] if row.len() == 1 => Ok(&row[0]),
            _ => bail!("not one row of one column: {} rows", self.rows.len()),
        }
    }

    /// Says where `self` and `other` differ; `order_by` are the positions of the ORDER BY columns.
    pub fn must_equal(&self, other: &Self, order_by: &[usize]) -> Result<()> {
        ensure!(
            self.columns == other.columns || self.rows.is_empty() && other.rows.is_empty(),
            "columns differ: {:?} and {:?}",
            self.columns,
            other.columns
        );
        self.must_be_near(other, order_by, DOUBLE_TOLERANCE)
    }

    /// Like [`Self::must_equal`] for the answer of another SQL: numbers of any type by their value alone.
    pub fn must_resemble(&self, other: &Self, order_by: &[usize]) -> Result<()> {
        let doubles = |answer: &Self| Self {
            columns: answer.columns.clone(),
            rows: (answer.rows.iter())
                .map(|row| row.iter().map(Value::as_double).collect())
                .collect(),
        };
        doubles(self).must_be_near(&doubles(other), order_by, OWN_TYPES_TOLERANCE)
    }

    fn must_be_near(&self, other: &Self, order_by: &[usize], tolerance: f64) -> Result<()> {
        ensure!(
            self.rows.len() == other.rows.len(),
            "{} rows and {} rows",
            self.rows.len(),
            other.rows.len()
        );
        for (n, (a, b)) in self.rows.iter().zip(&other.rows).enumerate() {
            for &key in order_by {
                let (a, b) = (a.get(key).context("key")?, b.get(key).context("key")?);
                ensure!(
                    a.near(b, tolerance),
                    "row {n}, ORDER BY column {key}: {a} and {b}"
                );
            }
        }
        for (a, b) in sorted(&self.rows).iter().zip(sorted(&other.rows)) {
            for (column, (x, y)) in a.iter().zip(b).enumerate() {
                ensure!(
                    x.near(y, tolerance),
                    "column {column} of a row differs: {x} and {y}\n{a:?}\n{b:?}"
                );
            }
        }
        Ok(())
    }
}

fn sorted(rows: &[Vec<Value>]) -> Vec<&Vec<Value>> {
    let mut rows: Vec<_> = rows.iter().collect();
    // Doubles last: they may differ in their last bits and must not decide the order before exact values do.
    rows.sort_by(|a, b| {
        let by = |double: bool| {
            a.iter()
                .zip(b.iter())
                .filter(|(x, _)| matches!(x, Value::Double(_)) == double)
                .map(|(x, y)| x.order(y))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        by(false).then_with(|| by(true))
    });
    rows
}

/// The type's name with the physical differences that carry no meaning folded (views, large offsets).
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes".to_owned(),
        DataType::Dictionary(_, inner) => type_name(inner),
        other => other.to_string(),
    }
}

fn value(column: &dyn Array, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    macro_rules! int {
        ($kind:ty) => {
            Value::Integer(i128::from(column.as_primitive::<$kind>().value(row)))
        };
    }
    Ok(match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => int!(UInt64Type),
        DataType::Float32 => {
            Value::Double(f64::from(column.as_primitive::<Float32Type>().value(row)))
        }
        DataType::Float64 => Value::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let unscaled = column.as_primitive::<Decimal128Type>().value(row);
            if *scale == 0 {
                Value::Integer(unscaled)
            } else {
                Value::Decimal(unscaled, *scale)
            }
        }
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::Text(column.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::Text(column.as_string_view().value(row).to_owned()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(row).to_owned()),
        DataType::LargeBinary => Value::Bytes(column.as_binary::<i64>().value(row).to_owned()),
        DataType::BinaryView => Value::Bytes(column.as_binary_view().value(row).to_owned()),
        DataType::Date32 => Value::Date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(unit, _) => Value::Timestamp(match unit {
            TimeUnit::Second => column.as_primitive::<TimestampSecondType>().value(row) * 1_000_000,
            TimeUnit::Millisecond => {
                column.as_primitive::<TimestampMillisecondType>().value(row) * 1_000
            }
            TimeUnit::Microsecond => column.as_primitive::<TimestampMicrosecondType>().value(row),
            TimeUnit::Nanosecond => {
                column.as_primitive::<TimestampNanosecondType>().value(row) / 1_000
            }
        }),
        other => bail!("no value for type {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: Vec<Vec<Value>>) -> Answer {
        Answer {
            columns: vec![("a".into(), "Int64".into()), ("b".into(), "Float64".into())],
            rows,
        }
    }

    #[test]
    fn order_of_rows_matters_only_for_keys() {
        let one = answer(vec![
            vec![Value::Integer(1), Value::Double(0.1)],
            vec![Value::Integer(2), Value::Double(0.2)],
        ]);
        let two = answer(one.rows.iter().rev().cloned().collect());
        one.must_equal(&two, &[]).unwrap();
        assert!(one.must_equal(&two, &[0]).is_err());
    }

    #[test]
    fn doubles_have_a_tolerance_and_decimals_none() {
        let near = Value::Double(1.0 + 1e-12);
        assert!(Value::Double(1.0).same(&near));
        assert!(!Value::Double(1.0).same(&Value::Double(1.0 + 1e-8)));
        assert!(!Value::Decimal(100, 2).same(&Value::Decimal(101, 2)));
    }

    #[test]
    fn another_sql_may_have_other_types_but_no_other_values() {
        let ours = answer(vec![vec![Value::Integer(7), Value::Double(0.049_985_295)]]);
        let rounded = answer(vec![vec![Value::Decimal(700, 2), Value::Decimal(49985, 6)]]);
        let wrong = answer(vec![vec![Value::Decimal(701, 2), Value::Decimal(49985, 6)]]);
        rounded.must_resemble(&ours, &[0]).unwrap();
        assert!(rounded.must_equal(&ours, &[0]).is_err());
        assert!(wrong.must_resemble(&ours, &[]).is_err());
    }

    #[test]
    fn a_missing_or_changed_row_is_seen() {
        let row = |n| vec![Value::Integer(n), Value::Null];
        let one = answer(vec![row(1), row(1), row(2)]);
        assert!(one.must_equal(&answer(vec![row(1), row(2)]), &[]).is_err());
        assert!(
            one.must_equal(&answer(vec![row(1), row(2), row(2)]), &[])
                .is_err()
        );
    }

    #[test]
    fn decimals_print_with_their_point() {
        assert_eq!(Value::Decimal(-5, 2).to_string(), "-0.05");
        assert_eq!(Value::Decimal(12345, 2).to_string(), "123.45");
    }
}
