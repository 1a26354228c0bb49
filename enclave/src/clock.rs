//! The one clock of this program: `CLOCK_BOOTTIME`. It only goes forward, counts suspended time,
//! and nobody outside can set it. No decision here uses wall time.

use std::io;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Milliseconds since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

impl BootTime {
    /// Now.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        Self(seconds.saturating_mul(1000).saturating_add(millis))
    }

    /// At so many milliseconds since boot.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds since `earlier`, 0 if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wakes at points of [`BootTime`]. (tokio's own timers stand still while a machine is suspended.)
pub struct Alarm(AsyncFd<std::os::fd::OwnedFd>);

impl Alarm {
    /// A timer of the running tokio runtime.
    pub fn new() -> io::Result<Self> {
        let fd = rustix::time::timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        crate::sys::wait_on(fd, Interest::READABLE).map(Self)
    }

    /// Returns once `deadline` has passed. May be dropped and called anew at any time.
    pub async fn until(&self, deadline: BootTime) -> io::Result<()> {
        while BootTime::now() < deadline {
            // A zero would disarm; the loop above has excluded the past, 0 among it.
            let at = Duration::from_millis(deadline.0);
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let value = Timespec {
                tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at.subsec_nanos()),
            };
            rustix::time::timerfd_settime(
                &self.0,
                TimerfdTimerFlags::ABSTIME,
                &Itimerspec {
                    it_interval: zero,
                    it_value: value,
                },
            )?;
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            // Reading clears it; an empty one was a wake-up for an earlier setting.
            let _ = rustix::io::read(self.0.get_ref(), &mut count);
            ready.clear_ready();
        }
        Ok(())
    }
}

/// The kernel's clock source, as the attested configuration names it.
pub fn clock_source() -> String {
    std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_not_before_its_time() {
        let alarm = Alarm::new().unwrap();
        for wait in [30, 1, 0, 20] {
            let start = BootTime::now();
            alarm.until(start.plus(wait)).await.unwrap();
            assert!(BootTime::now().since(start) >= wait);
        }
    }

    #[tokio::test]
    async fn a_setting_that_was_given_up_does_not_ring() {
        let alarm = Alarm::new().unwrap();
        let start = BootTime::now();
        {
            let early = alarm.until(start.plus(20));
            let _ = tokio::time::timeout(Duration::from_millis(1), early).await;
        }
        alarm.until(start.plus(80)).await.unwrap();
        assert!(BootTime::now().since(start) >= 80);
    }
}
