//! The only place of this crate that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use duckblind_protocol::ids::UnixTime;

/// The time on this machine. A clock before 1970 reads as 0: nothing is fresh then.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> UnixTime {
    UnixTime(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .unwrap_or(0),
    )
}

/// `2026-11-20 09:15:04 UTC`, for people.
pub fn utc(time: UnixTime) -> String {
    let days = time.0.div_euclid(86_400);
    let seconds = time.0.rem_euclid(86_400);
    // Days to civil date, Gregorian calendar, counted from 0000-03-01.
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(utc(UnixTime(0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(UnixTime(951_782_400)), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(UnixTime(1_798_761_599)), "2026-12-31 23:59:59 UTC");
        assert_eq!(utc(UnixTime(-1)), "1969-12-31 23:59:59 UTC");
    }
}
