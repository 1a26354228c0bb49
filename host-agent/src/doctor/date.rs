//! Dates as others write them.

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The one format that HTTP servers send today, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section
/// 5.6.7): Unix seconds, or `None` for anything else.
pub(super) fn parse_http(text: &str) -> Option<i64> {
    let (_weekday, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = number(words.next()?, 1, 31)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|each| *each == name)?;
    let year = number(words.next()?, 1970, 9999)?;
    let time = time_of_day(words.next()?)?;
    if words.next()? != "GMT" || words.next().is_some() {
        return None;
    }
    let month = i64::try_from(month).ok()? + 1;
    Some((days_before(year, month) + day - 1) * 86_400 + time)
}

/// What Intel writes, `2026-11-20T08:49:37Z` (RFC 3339, in UTC and whole seconds): Unix seconds, or
/// `None` for anything else.
pub(super) fn parse_utc(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-');
    let year = number(date.next()?, 1970, 9999)?;
    let month = number(date.next()?, 1, 12)?;
    let day = number(date.next()?, 1, 31)?;
    if date.next().is_some() {
        return None;
    }
    Some((days_before(year, month) + day - 1) * 86_400 + time_of_day(time)?)
}

/// Seconds since midnight at `08:49:37`.
fn time_of_day(text: &str) -> Option<i64> {
    let mut clock = text.split(':');
    let hour = number(clock.next()?, 0, 23)?;
    let minute = number(clock.next()?, 0, 59)?;
    let second = number(clock.next()?, 0, 60)?;
    clock
        .next()
        .is_none()
        .then_some(hour * 3600 + minute * 60 + second)
}

fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    let value = text.parse().ok()?;
    (least..=most).contains(&value).then_some(value)
}

/// Days from 1970-01-01 to the first of the month. Counts years from March, so that the leap day
/// is the last of its year.
fn days_before(year: i64, month: i64) -> i64 {
    let (year, shifted) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let in_year = (153 * shifted + 2) / 5;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
        ] {
            assert_eq!(parse_http(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 08:49:37:1 GMT",
        ] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }
    #[test]
    fn dates_of_intel() {
        assert_eq!(parse_utc("1994-11-06T08:49:37Z"), Some(784_111_777));
        assert_eq!(parse_utc("2024-03-01T00:00:00Z"), Some(1_709_251_200));
        for text in [
            "",
            "1994-11-06T08:49:37",
            "1994-11-06 08:49:37Z",
            "1994-13-06T08:49:37Z",
            "1994-11-06-01T08:49:37Z",
            "1994-11-06T08:49:37+01:00",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
