//! How a user or the system asks a command to stop: Ctrl-C, SIGTERM, SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;

/// Caught from [`Stop::listen`] on. None of them ends the process by itself then, so whatever the
/// command was writing is removed on the way out.
pub(super) struct Stop {
    signals: [Option<Signal>; 3],
}

impl Stop {
    /// Starts to catch them, but none that whoever started the process had it ignore: `nohup` does
    /// so with SIGHUP.
    pub(super) fn listen() -> Result<Self, Failure> {
        let ignored = std::fs::read_to_string("/proc/self/status")
            .map_or(0, |status| ignored(&status).unwrap_or(0));
        let catch = |kind: SignalKind| {
            let bit = 1u64 << (kind.as_raw_value() - 1);
            if ignored & bit != 0 {
                return Ok(None);
            }
            signal(kind).map(Some).map_err(|e| Failure::internal(&e))
        };
        Ok(Self {
            signals: [
                catch(SignalKind::interrupt())?,
                catch(SignalKind::terminate())?,
                catch(SignalKind::hangup())?,
            ],
        })
    }

    /// Returns when one has come, also if it came before.
    pub(super) async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            () = one(interrupt) => {}
            () = one(terminate) => {}
            () = one(hangup) => {}
        }
    }

    /// Ends work early.
    pub(super) async fn or<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            () = self.wait() => Err(Failure::cancelled()),
        }
    }
}

async fn one(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The mask of ignored signals, lowest bit first.
fn ignored(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
    }
}
