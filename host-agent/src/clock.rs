//! The wall clock, for logs and for the times in other people's results. Decides nothing of a job.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds; 0 for a clock before 1970.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}
