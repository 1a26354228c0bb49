//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use duckblind_protocol::ids::UnixTime;

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// A time that a test sets.
    #[cfg(test)]
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The wall clock, in whole seconds. A clock before 1970 reads as 0: everything is expired
    /// then, nothing is fresh.
    pub fn now(&self) -> UnixTime {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            Self::System => UnixTime(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .ok()
                    .and_then(|since| i64::try_from(since.as_secs()).ok())
                    .unwrap_or(0),
            ),
            #[cfg(test)]
            Self::Set(time) => UnixTime(time.load(Ordering::SeqCst)),
        }
    }
}

/// A point on the monotonic clock, for rates and durations; it never decides what is valid.
pub fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_past_2024() {
        assert!(Clock::System.now() > UnixTime(1_704_067_200));
    }
}
