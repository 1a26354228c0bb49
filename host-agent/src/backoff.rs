//! Waiting longer after each failure, never in step with others.

use std::time::Duration;

use duckblind_protocol::ids::random_bytes;

const FIRST: Duration = Duration::from_millis(500);

/// Exponential, with a quarter of jitter either way.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    longest: Duration,
}

impl Backoff {
    /// Waits half a second at first, `longest` at most.
    pub const fn up_to(longest: Duration) -> Self {
        Self {
            failures: 0,
            longest,
        }
    }

    /// All is well again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// One more failure: how long to wait.
    pub fn failed(&mut self) -> Duration {
        let mut random = [0; 2];
        // Without randomness the middle is as good.
        let jitter = match random_bytes(&mut random) {
            Ok(()) => u32::from(u16::from_le_bytes(random)) % 501,
            Err(_) => 250,
        };
        self.step(jitter)
    }

    /// `jitter` in thousandths, 0 to 500.
    fn step(&mut self, jitter: u32) -> Duration {
        let factor = 1_u32 << self.failures.min(8);
        self.failures = self.failures.saturating_add(1);
        (FIRST * factor).min(self.longest) * (750 + jitter) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_cap_and_starts_over() {
        let mut backoff = Backoff::up_to(Duration::from_mins(1));
        let steps: Vec<_> = (0..10).map(|_| backoff.step(250).as_millis()).collect();
        assert_eq!(
            steps,
            [
                500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000
            ]
        );
        backoff.reset();
        assert_eq!(backoff.step(0), Duration::from_millis(375));
        assert_eq!(backoff.step(500), Duration::from_millis(1250));
    }

    #[test]
    fn jitter_stays_in_its_quarter() {
        for _ in 0..200 {
            let wait = Backoff::up_to(Duration::from_secs(9)).failed();
            assert!((375..=625).contains(&wait.as_millis()), "{wait:?}");
        }
    }
}
