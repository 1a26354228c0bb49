//! From when until when something holds.

use std::fmt;
use std::str::FromStr as _;

use der::DateTime;
use duckblind_protocol::ids::UnixTime;
use x509_cert::time::Time;

/// First and last second, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `thisUpdate`, `issueDate`.
    pub from: UnixTime,
    /// `nextUpdate`.
    pub until: UnixTime,
}

impl Window {
    /// `None` if it ends before it begins.
    pub(crate) fn new(from: UnixTime, until: UnixTime) -> Option<Self> {
        (from <= until).then_some(Self { from, until })
    }

    /// Whether `now` is inside.
    pub fn contains(&self, now: UnixTime) -> bool {
        self.from <= now && now <= self.until
    }

    /// Half of it.
    pub(crate) const fn middle(&self) -> UnixTime {
        // No overflow: ends are dates of four-digit years.
        UnixTime(self.from.0 + (self.until.0 - self.from.0) / 2)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.until)
    }
}

/// A time in a certificate or list.
pub(crate) fn of_der(time: Time) -> UnixTime {
    of_date(time.to_date_time())
}

/// A time such as `2026-10-08T00:09:46Z`, the only form that Intel writes.
pub(crate) fn of_text(text: &str) -> Option<UnixTime> {
    DateTime::from_str(text).ok().map(of_date)
}

fn of_date(date: DateTime) -> UnixTime {
    UnixTime(i64::try_from(date.unix_duration().as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_included() {
        let window = Window::new(UnixTime(10), UnixTime(20)).unwrap();
        for (now, inside) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(window.contains(UnixTime(now)), inside, "{now}");
        }
        assert_eq!(window.middle(), UnixTime(15));
        assert_eq!(Window::new(UnixTime(2), UnixTime(1)), None);
    }

    #[test]
    fn one_form_of_dates() {
        assert_eq!(
            of_text("2026-10-08T00:09:46Z"),
            Some(UnixTime(1_791_418_186))
        );
        for other in [
            "2026-10-08",
            "2026-10-08T00:09:46+00:00",
            "2026-13-08T00:09:46Z",
            "",
        ] {
            assert_eq!(of_text(other), None, "{other}");
        }
    }
}
