//! `--now`: the time to judge at.

use std::str::FromStr;

use der::DateTime;
use duckblind_protocol::ids::UnixTime;

/// Unix seconds, or a date in UTC as `2026-11-20T09:15:04Z`.
pub(super) fn instant(text: &str) -> Result<UnixTime, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime(seconds));
    }
    DateTime::from_str(text)
        .ok()
        .and_then(|date| i64::try_from(date.unix_duration().as_secs()).ok())
        .map(UnixTime)
        .ok_or_else(|| "expected Unix seconds or a date in UTC such as 2026-11-20T09:15:04Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        assert_eq!(instant("1700000000"), Ok(UnixTime(1_700_000_000)));
        assert_eq!(instant("2023-11-14T22:13:20Z"), Ok(UnixTime(1_700_000_000)));
        for wrong in ["", "soon", "2023-11-14", "2023-13-14T22:13:20Z", "1.5"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
