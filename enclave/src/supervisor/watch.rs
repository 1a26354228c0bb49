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
        })
    }

    /// Waits for the next event. `stalled`: when the result stream counts as stalled, if something
    /// waits to be written. Dropping the future loses nothing.
    pub async fn event(&mut self, stalled: Option<BootTime>) -> Event {
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
                self.heard = BootTime::now();
                Event::KeepAlive
            }
            Ok(ControlMessage::Cancel) => Event::Over(JobCode::Cancelled),
            // Forged, repeated or out of order: nothing after it would open either.
            Err(_) => Event::Over(JobCode::Malformed),
        }
    }
}
