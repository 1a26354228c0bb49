//! What can end a job from outside its query process: its requester, the clock, a shutdown.

use std::io;

use duckblind_protocol::control::{ControlMessage, ControlOpener};
use duckblind_protocol::frames::Kind;
use duckblind_protocol::job_code::JobCode;
use tokio::io::AsyncRead;
use tokio::sync::watch;

use crate::clock::{Alarm, BootTime};
use crate::supervisor::link::FrameReader;
use crate::supervisor::shared::Phase;

/// Keep-alives within one keep-alive interval, at most (the longest counted is the default one);
/// a requester sends a few.
const MAX_KEEPALIVES: u32 = 64;
const LONGEST_COUNTED_MS: u64 = 30_000;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The requester is still there and wants to hear the same.
    KeepAlive,
    /// The job must end.
    Over(JobCode),
}

/// Watches over one job.
pub struct Watch<'a, R> {
    frames: &'a mut FrameReader<R>,
    control: ControlOpener,
    phase: watch::Receiver<Phase>,
    alarm: Alarm,
    wall: BootTime,
    keepalive_ms: u64,
    heard: BootTime,
    /// When the counting of keep-alives began anew, and how many have come since.
    counting_from: BootTime,
    count: u32,
}

impl<'a, R: AsyncRead + Unpin> Watch<'a, R> {
    /// From `now` on, until `wall`.
    pub fn new(
        frames: &'a mut FrameReader<R>,
        control: ControlOpener,
        phase: watch::Receiver<Phase>,
        now: BootTime,
        wall: BootTime,
        keepalive_ms: u32,
    ) -> io::Result<Self> {
        Ok(Self {
            frames,
            control,
            phase,
            alarm: Alarm::new()?,
            wall,
            keepalive_ms: keepalive_ms.into(),
            heard: now,
            counting_from: now,
            count: 0,
        })
    }

    /// Waits for the next event. `stalled`: when the result stream counts as stalled, if something
    /// waits to be written. Dropping the future loses nothing.
    pub async fn event(&mut self, stalled: Option<BootTime>) -> Event {
        // What frames may not put off comes before them: they are read first below.
        if *self.phase.borrow() == Phase::Cancelling {
            return Event::Over(JobCode::DrainTimeout);
        }
        let now = BootTime::now();
        if self.wall <= now {
            return Event::Over(JobCode::TimeLimit);
        }
        if stalled.is_some_and(|at| at <= now) {
            return Event::Over(JobCode::StreamStalled);
        }
        let lost = self.heard.plus(self.keepalive_ms);
        let mut first = (self.wall, JobCode::TimeLimit);
        for other in [
            Some((lost, JobCode::KeepAliveLost)),
            stalled.map(|at| (at, JobCode::StreamStalled)),
        ] {
            first = other
                .into_iter()
                .fold(first, |a, b| if b.0 < a.0 { b } else { a });
        }
        let (deadline, code) = first;
        let cancelling = self.phase.wait_for(|phase| *phase == Phase::Cancelling);
        let sealed = tokio::select! {
            biased;
            frame = self.frames.next(|kind| kind == Kind::Control) => match frame {
                // A requester that closes its direction has gone away.
                Ok(None) => return Event::Over(JobCode::Cancelled),
                Ok(Some((_, sealed))) => sealed,
                Err(error) => {
                    tracing::info!(%error, "connection of a running job");
                    return Event::Over(JobCode::Malformed);
                }
            },
            rung = self.alarm.until(deadline) => {
                return Event::Over(if rung.is_ok() { code } else { JobCode::Internal });
            }
            _ = cancelling => return Event::Over(JobCode::DrainTimeout),
        };
        self.said(sealed)
    }

    fn said(&mut self, sealed: Vec<u8>) -> Event {
        match self.control.open(sealed) {
            Ok(ControlMessage::KeepAlive) => {
                let now = BootTime::now();
                if now.since(self.counting_from) >= self.keepalive_ms.min(LONGEST_COUNTED_MS) {
                    self.counting_from = now;
                    self.count = 0;
                }
                self.count += 1;
                if self.count > MAX_KEEPALIVES {
                    return Event::Over(JobCode::Malformed);
                }
                self.heard = now;
                Event::KeepAlive
            }
            Ok(ControlMessage::Cancel) => Event::Over(JobCode::Cancelled),
            // Forged, repeated or out of order: nothing after it would open either.
            Err(_) => Event::Over(JobCode::Malformed),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use duckblind_protocol::body::{self, QuerySection, SecretText};
    use duckblind_protocol::frames::frame;
    use duckblind_protocol::hazmat;
    use duckblind_protocol::ids::{Digest, JobId, Ticket};
    use duckblind_protocol::kem::KemSecret;
    use duckblind_protocol::open::open_order;
    use duckblind_protocol::order::{Class, Limits, OrderDraft};

    use super::*;

    /// So many sealed keep-alives, as they come over a connection, and what opens them.
    fn keepalives(count: u32) -> (Vec<u8>, ControlOpener) {
        let secret = KemSecret::generate().unwrap();
        let statement = Digest::of(b"statement");
        let draft = OrderDraft {
            job: JobId::random().unwrap(),
            ticket: Ticket::random().unwrap(),
            class: Class::L2,
            limits: Limits {
                wall_ms: 1,
                memory_bytes: 1,
                result_bytes: 1,
                threads: 1,
            },
            expiry_ms: 1,
            endpoints: vec![],
            inputs: vec![],
        };
        let query = QuerySection {
            v: body::VERSION,
            sql: SecretText::new("SELECT 1".to_owned()),
            inputs: vec![],
        };
        let signer = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
        let (sealed, session) =
            hazmat::seal(secret.public_key(), &statement, draft, &query, &signer).unwrap();
        let mut control = session.control().unwrap();
        let frames = (0..count)
            .flat_map(|_| {
                frame(
                    Kind::Control,
                    &control.seal(ControlMessage::KeepAlive).unwrap(),
                )
            })
            .collect();
        let opened = open_order(&secret, &statement, &sealed).unwrap();
        (frames, opened.control().unwrap())
    }

    #[tokio::test]
    async fn a_flood_of_frames_puts_nothing_off() {
        let (flood, _) = keepalives(3);
        let now = BootTime::now();
        let past = BootTime::from_millis(1);
        let later = now.plus(60_000);
        for (phase, wall, stalled, code) in [
            (Phase::Cancelling, later, None, JobCode::DrainTimeout),
            (Phase::Serving, past, Some(past), JobCode::TimeLimit),
            (Phase::Draining, later, Some(past), JobCode::StreamStalled),
        ] {
            let (_, control) = keepalives(0);
            let mut frames = FrameReader::new(flood.as_slice());
            let (_phase, seen) = watch::channel(phase);
            let mut watch = Watch::new(&mut frames, control, seen, now, wall, 30_000).unwrap();
            assert_eq!(watch.event(stalled).await, Event::Over(code));
        }
    }

    #[tokio::test]
    async fn keep_alives_are_counted() {
        let (flood, control) = keepalives(MAX_KEEPALIVES + 1);
        let now = BootTime::now();
        let mut frames = FrameReader::new(flood.as_slice());
        let (_phase, seen) = watch::channel(Phase::Serving);
        let wall = now.plus(60_000);
        let mut watch = Watch::new(&mut frames, control, seen, now, wall, 30_000).unwrap();
        for _ in 0..MAX_KEEPALIVES {
            assert_eq!(watch.event(None).await, Event::KeepAlive);
        }
        assert_eq!(watch.event(None).await, Event::Over(JobCode::Malformed));
    }
}
