//! What a person may say about CSV files: what separates their fields, and types that are not to be
//! inferred.

use std::fmt;
use std::str::FromStr;

use arrow::compute::kernels::cast_utils::{Parser as _, parse_decimal};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit,
};

use super::csv_types::Guess;

/// How CSV inputs are read. By default fields are separated as the files' names say, and every type
/// is inferred.
#[derive(Clone, Debug, Default)]
pub struct CsvOptions {
    /// Between the fields of every CSV and TSV input.
    pub delimiter: Option<Delimiter>,
    /// Columns, as SQL names them, that are not inferred.
    pub types: Vec<(String, ColumnType)>,
}

impl CsvOptions {
    pub(super) fn is_default(&self) -> bool {
        self.delimiter.is_none() && self.types.is_empty()
    }
}

/// One ASCII character that may stand between fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(u8);

/// A text that is no delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fields are separated by one ASCII character, no quote and no line end; `\\t` is a tab")]
pub struct BadDelimiter;

impl Delimiter {
    pub(super) const fn byte(self) -> u8 {
        self.0
    }
}

impl FromStr for Delimiter {
    type Err = BadDelimiter;

    fn from_str(text: &str) -> Result<Self, BadDelimiter> {
        match text.as_bytes() {
            br"\t" => Ok(Self(b'\t')),
            [b'"' | b'\r' | b'\n' | 0] => Err(BadDelimiter),
            [byte] if byte.is_ascii() => Ok(Self(*byte)),
            _ => Err(BadDelimiter),
        }
    }
}

/// The type of a column, by its name in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `true` or `false`.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// The nearest binary number of 64 bits.
    Double,
    /// Exact, with `scale` of at most `precision` digits behind the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// `2024-12-31`.
    Date,
    /// `2024-12-31 23:59:59.999999`, without a zone.
    Timestamp,
    /// Text as it is.
    Varchar,
}

/// A text that names no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no type of a column; there are BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL(p,s) with \
     s <= p <= {DECIMAL128_MAX_PRECISION}, DATE, TIMESTAMP and VARCHAR"
)]
pub struct BadColumnType(String);

impl FromStr for ColumnType {
    type Err = BadColumnType;

    fn from_str(text: &str) -> Result<Self, BadColumnType> {
        let name = text.trim().to_ascii_uppercase();
        Ok(match name.as_str() {
            "BOOLEAN" => Self::Boolean,
            "INTEGER" => Self::Integer,
            "BIGINT" => Self::BigInt,
            "DOUBLE" => Self::Double,
            "DATE" => Self::Date,
            "TIMESTAMP" => Self::Timestamp,
            "VARCHAR" => Self::Varchar,
            other => {
                decimal(other).ok_or_else(|| BadColumnType(text.chars().take(80).collect()))?
            }
        })
    }
}

/// `DECIMAL(p,s)`.
fn decimal(name: &str) -> Option<ColumnType> {
    let digits = name.strip_prefix("DECIMAL")?.trim_start();
    let (precision, scale) = digits
        .strip_prefix('(')?
        .strip_suffix(')')?
        .split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=DECIMAL128_MAX_PRECISION).contains(&precision) && scale <= precision)
        .then_some(ColumnType::Decimal { precision, scale })
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Decimal { precision, scale } => {
                return write!(f, "DECIMAL({precision},{scale})");
            }
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Varchar => "VARCHAR",
        })
    }
}

impl ColumnType {
    /// The type that reads as this Arrow type; none if no type does.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        let kind = match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int32 => Self::Integer,
            DataType::Int64 => Self::BigInt,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) => Self::Decimal {
                precision: *precision,
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Utf8 => Self::Varchar,
            _ => return None,
        };
        (kind.data_type() == *data_type).then_some(kind)
    }

    /// As an Arrow type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(precision, scale.cast_signed())
            }
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Varchar => DataType::Utf8,
        }
    }

    /// Whether a field can be stored as this type, and nothing of it is lost but what a `DOUBLE`
    /// rounds. The Arrow reader parses all that pass.
    pub(super) fn holds(self, value: &str) -> bool {
        match self {
            Self::Boolean => Guess::of(value) == Guess::Bool,
            Self::Integer => Int32Type::parse(value).is_some(),
            Self::BigInt => Int64Type::parse(value).is_some(),
            // A number too large must not become infinite, but `inf` and `nan` say what they mean.
            Self::Double => Float64Type::parse(value).is_some_and(|number| {
                number.is_finite() || !value.bytes().any(|byte| byte.is_ascii_digit())
            }),
            // The Arrow reader would round.
            Self::Decimal { precision, scale } => {
                fraction(value).is_some_and(|digits| digits <= scale.into())
                    && parse_decimal::<Decimal128Type>(value, precision, scale.cast_signed())
                        .is_ok()
            }
            Self::Date => Guess::of(value) == Guess::Date,
            Self::Timestamp => matches!(Guess::of(value), Guess::Date | Guess::Timestamp),
            Self::Varchar => true,
        }
    }
}

/// Digits behind the point that count, of a number without exponent.
fn fraction(value: &str) -> Option<usize> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    let (_, digits) = value.split_once('.').unwrap_or((value, ""));
    value
        .chars()
        .all(plain)
        .then(|| digits.trim_end_matches('0').len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_sql_names() {
        for name in [
            "BOOLEAN",
            "INTEGER",
            "BIGINT",
            "DOUBLE",
            "DECIMAL(12,2)",
            "DATE",
            "TIMESTAMP",
            "VARCHAR",
        ] {
            let parsed: ColumnType = name.to_lowercase().parse().unwrap();
            assert_eq!(parsed.to_string(), name);
        }
        let spaced: ColumnType = " decimal ( 38 , 38 ) ".parse().unwrap();
        assert_eq!(spaced.to_string(), "DECIMAL(38,38)");
        for bad in [
            "",
            "MONEY",
            "DECIMAL",
            "DECIMAL(5)",
            "DECIMAL(0,0)",
            "DECIMAL(39,2)",
            "DECIMAL(4,5)",
            "DECIMAL(4,-1)",
            "DECIMAL(4,2",
        ] {
            let error = bad.parse::<ColumnType>().unwrap_err();
            assert!(error.to_string().contains("VARCHAR"), "{bad}");
        }
    }

    #[test]
    fn what_types_hold() {
        let of = |name: &str| name.parse::<ColumnType>().unwrap();
        for (name, good, bad) in [
            ("BOOLEAN", &["true", "FALSE"][..], &["t", "1"][..]),
            (
                "INTEGER",
                &["007", "-2147483648"],
                &["2147483648", "1.0", "x"],
            ),
            ("BIGINT", &["9223372036854775807"], &["9223372036854775808"]),
            ("DOUBLE", &["1", "-1e-3", "nan", "inf"], &["1e999", "1,5"]),
            (
                "DECIMAL(5,2)",
                &["0", "-999.99", "1.5", "1.5000", "+.25"],
                &["1000", "1.555", "1e2", "1.2.3", "-", ".", "", "NaN"],
            ),
            (
                "DATE",
                &["2024-02-29"],
                &["2023-02-29", "29.02.2024", "2024-02-29 10:00:00"],
            ),
            (
                "TIMESTAMP",
                &[
                    "2024-02-29 10:00:00.123456",
                    "2024-02-29",
                    "9999-12-31T23:59:59",
                ],
                &["2024-02-29 10:00:00.1234567", "2024-02-29T10:00:00Z"],
            ),
            ("VARCHAR", &["x", "1"], &[]),
        ] {
            for value in good {
                assert!(of(name).holds(value), "{name} {value}");
            }
            for value in bad {
                assert!(!of(name).holds(value), "{name} {value}");
            }
        }
    }

    #[test]
    fn delimiters() {
        for (text, byte) in [(";", b';'), ("|", b'|'), ("\t", b'\t'), (r"\t", b'\t')] {
            assert_eq!(text.parse::<Delimiter>().unwrap().byte(), byte);
        }
        for bad in ["", ",,", "\"", "\n", "ü", r"\n"] {
            assert!(bad.parse::<Delimiter>().is_err(), "{bad}");
        }
    }
}
