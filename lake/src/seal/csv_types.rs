//! What the texts of a CSV column are. A type is chosen only if every value is written in one
//! unmistakable way and nothing of it would be lost; everything else stays text.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::{Parser as _, string_to_datetime};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit};

/// Whole numbers up to this are exact as `Float64` too.
const EXACT_IN_FLOAT: u64 = 1 << 53;

/// The narrowest type of what was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guess {
    /// Nothing but empty fields.
    #[default]
    Empty,
    Bool,
    Int,
    /// Whole numbers that `Float64` would change.
    WideInt,
    Float,
    Date,
    Timestamp,
    /// With a zone or an offset.
    Instant,
    Text,
}

impl Guess {
    /// Takes one more value into account.
    pub(super) fn observe(&mut self, value: &str) {
        if *self != Self::Text && !value.is_empty() {
            *self = self.or(Self::of(value));
        }
    }

    /// The narrowest type that holds both.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Empty, some) | (some, Self::Empty) => some,
            (Self::Int, Self::WideInt) | (Self::WideInt, Self::Int) => Self::WideInt,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            _ => Self::Text,
        }
    }

    /// As an Arrow type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Empty | Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Int | Self::WideInt => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        }
    }

    /// One value's type.
    pub(super) fn of(value: &str) -> Self {
        let bytes = value.as_bytes();
        match bytes.first() {
            Some(b'0'..=b'9' | b'-' | b'.') => {
                if bytes.get(4) == Some(&b'-') && bytes.len() >= 10 {
                    Self::of_time(value)
                } else {
                    Self::of_number(value)
                }
            }
            Some(b't' | b'T' | b'f' | b'F')
                if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") =>
            {
                Self::Bool
            }
            _ => Self::Text,
        }
    }

    fn of_number(value: &str) -> Self {
        let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
        // `007` is no number: its zeros would be lost.
        if matches!(digits, [b'0', b'0'..=b'9', ..]) {
            return Self::Text;
        }
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            return match Int64Type::parse(value) {
                Some(0) if value.starts_with('-') => Self::Text,
                Some(number) if number.unsigned_abs() <= EXACT_IN_FLOAT => Self::Int,
                Some(_) => Self::WideInt,
                None => Self::Text,
            };
        }
        let plain = digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
        match Float64Type::parse(value) {
            Some(number) if plain && number.is_finite() => Self::Float,
            _ => Self::Text,
        }
    }

    fn of_time(value: &str) -> Self {
        let shape: String = value
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        let Some(clock) = shape.strip_prefix("9999-99-99") else {
            return Self::Text;
        };
        if clock.is_empty() {
            return if Date32Type::parse(value).is_some() {
                Self::Date
            } else {
                Self::Text
            };
        }
        let Some(clock) = clock
            .strip_prefix([' ', 'T'])
            .and_then(|c| c.strip_prefix("99:99:99"))
        else {
            return Self::Text;
        };
        let fraction = clock
            .strip_prefix('.')
            .map_or(0, |rest| rest.bytes().take_while(|b| *b == b'9').count());
        let zone = clock
            .get(if fraction > 0 { fraction + 1 } else { 0 }..)
            .unwrap_or(clock);
        // Finer than a microsecond would be lost.
        if fraction > 6 || !is_instant(value) {
            return Self::Text;
        }
        match zone {
            "" => Self::Timestamp,
            "Z" | "+99:99" | "-99:99" => Self::Instant,
            _ => Self::Text,
        }
    }
}

/// Whether the Arrow reader will parse it.
fn is_instant(value: &str) -> bool {
    "+00:00"
        .parse::<Tz>()
        .and_then(|utc| string_to_datetime(&utc, value))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> Guess {
        let mut guess = Guess::default();
        for value in values {
            guess.observe(value);
        }
        guess
    }

    #[test]
    fn single_values() {
        for (value, wanted) in [
            ("", Guess::Empty),
            ("0", Guess::Int),
            ("-17", Guess::Int),
            ("9223372036854775807", Guess::WideInt),
            ("9223372036854775808", Guess::Text),
            ("007", Guess::Text),
            ("-0", Guess::Text),
            ("+5", Guess::Text),
            ("1.5", Guess::Float),
            (".5", Guess::Float),
            ("-1e-3", Guess::Float),
            ("1e999", Guess::Text),
            ("-inf", Guess::Text),
            ("1.2.3", Guess::Text),
            ("-", Guess::Text),
            (" 1", Guess::Text),
            ("TRUE", Guess::Bool),
            ("t", Guess::Text),
            ("2024-02-29", Guess::Date),
            ("2023-02-29", Guess::Text),
            ("2024-01-01 10:20:30", Guess::Timestamp),
            ("2024-01-01T10:20:30.123456", Guess::Timestamp),
            ("9999-12-31 23:59:59", Guess::Timestamp),
            ("2024-01-01T10:20:30.1234567", Guess::Text),
            ("2024-01-01T10:20:30Z", Guess::Instant),
            ("2024-01-01T10:20:30.5+02:00", Guess::Instant),
            ("2024-01-01T25:20:30", Guess::Text),
            ("2024-01-01 x", Guess::Text),
            ("1234-56-789", Guess::Text),
        ] {
            assert_eq!(guess(&[value]), wanted, "{value}");
        }
    }

    #[test]
    fn columns() {
        assert_eq!(guess(&["1", "", "2.5"]), Guess::Float);
        assert_eq!(guess(&["9007199254740993", "2.5"]), Guess::Text);
        assert_eq!(guess(&["1", "9007199254740993"]), Guess::WideInt);
        assert_eq!(
            guess(&["2024-01-01", "2024-01-01 00:00:00"]),
            Guess::Timestamp
        );
        assert_eq!(
            guess(&["2024-01-01 00:00:00", "2024-01-01 00:00:00Z"]),
            Guess::Text
        );
        assert_eq!(guess(&["true", "1"]), Guess::Text);
        assert_eq!(guess(&["", ""]).data_type(), DataType::Utf8);
    }
}
