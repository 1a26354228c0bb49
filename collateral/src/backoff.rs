//! How long to wait before asking again: doubling, and anywhere between nothing and that, so that
//! many who were refused together do not come back together.

use std::time::Duration;

use duckblind_protocol::ids::random_bytes;

use crate::client::Patience;

/// The waits of one request.
pub(crate) struct Backoff<'a> {
    patience: &'a Patience,
    attempts: u32,
    failures: u32,
}

impl<'a> Backoff<'a> {
    pub(crate) const fn new(patience: &'a Patience, attempts: u32) -> Self {
        Self {
            patience,
            attempts,
            failures: 0,
        }
    }

    /// One more failure: how long to wait, or `None` to give up. A service that names a time is
    /// not asked before it, and not waited for if that is too long.
    pub(crate) fn failed(&mut self, retry_after: Option<u64>) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.attempts {
            return None;
        }
        let told = Duration::from_secs(retry_after.unwrap_or(0));
        let doubled = self.patience.first_wait * (1 << (self.failures - 1).min(16));
        let jitter = share(doubled.min(self.patience.longest_wait), random());
        (told <= self.patience.longest_wait).then_some(told + jitter)
    }
}

/// Without randomness the middle is as good.
fn random() -> u16 {
    let mut bytes = [0; 2];
    random_bytes(&mut bytes).map_or(u16::MAX / 2, |()| u16::from_le_bytes(bytes))
}

fn share(all: Duration, random: u16) -> Duration {
    all * u32::from(random) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(8),
            ..Patience::default()
        }
    }

    #[test]
    fn gives_up_and_stays_within_the_doubling_bound() {
        let patience = patience();
        let mut backoff = Backoff::new(&patience, 8);
        for bound in [1, 2, 4, 8, 8, 8, 8] {
            let wait = backoff.failed(None).expect("one more attempt");
            assert!(wait <= Duration::from_secs(bound), "{wait:?}");
        }
        assert_eq!(backoff.failed(None), None);
    }

    #[test]
    fn the_whole_range_is_used() {
        let all = Duration::from_secs(8);
        assert_eq!(share(all, 0), Duration::ZERO);
        assert_eq!(share(all, u16::MAX), all);
        let patience = patience();
        let waits: Vec<_> = (0..64)
            .map(|_| Backoff::new(&patience, 2).failed(None).expect("a wait"))
            .collect();
        let half = Duration::from_millis(500);
        assert!(waits.iter().any(|w| *w < half) && waits.iter().any(|w| *w > half));
    }

    #[test]
    fn a_service_that_names_a_time_is_not_asked_before() {
        let patience = patience();
        let wait = Backoff::new(&patience, 2).failed(Some(5)).expect("a wait");
        assert!((5..=6).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(Backoff::new(&patience, 2).failed(Some(9)), None);
    }
}
