//! From the requester to the enclave.

use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use duckblind_protocol::frames::HostCode;
use quinn::RecvStream;
use tokio::io::AsyncWriteExt as _;

use super::activity::Activity;
use crate::config::Timeouts;
use crate::enclave_link::Writer;
use crate::gate::{Direction, Gate, Piece};
use crate::metrics::Metrics;
use crate::says;

/// Most bytes taken from QUIC at a time.
const READ: usize = 256 << 10;

/// Why no more comes from the requester.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UpEnd {
    /// It has said all it wanted, or the enclave takes no more.
    Finished,
    /// It, or its connection, is gone.
    Gone,
    /// It broke a rule.
    Refuse(HostCode),
}

pub(super) struct Uplink<'a> {
    recv: &'a mut RecvStream,
    activity: &'a Activity,
    timeouts: &'a Timeouts,
    metrics: &'a Metrics,
    buffer: BytesMut,
    gate: Gate,
    /// When the frame that is under way began; none between frames.
    began: Option<Instant>,
    /// Whether a whole frame has come.
    greeted: bool,
}

impl<'a> Uplink<'a> {
    pub(super) fn new(
        recv: &'a mut RecvStream,
        activity: &'a Activity,
        timeouts: &'a Timeouts,
        metrics: &'a Metrics,
    ) -> Self {
        Self {
            recv,
            activity,
            timeouts,
            metrics,
            buffer: BytesMut::new(),
            gate: Gate::new(Direction::ToEnclave),
            began: Some(activity.start()),
            greeted: false,
        }
    }

    pub(super) const fn activity(&self) -> &'a Activity {
        self.activity
    }

    /// Waits for the beginning of the first frame; how many bytes of the buffer may pass.
    pub(super) async fn first(&mut self) -> Result<usize, UpEnd> {
        loop {
            if let Some(passed) = self.scan()? {
                return Ok(passed);
            }
            self.fill().await?;
        }
    }

    /// Writes what may pass, `first` bytes to begin with, until there is no more.
    pub(super) async fn run(&mut self, mut writer: Writer, first: usize) -> UpEnd {
        let mut passed = first;
        loop {
            let Some(bytes) = self.buffer.get(..passed) else {
                return UpEnd::Gone;
            };
            if writer.write_all(bytes).await.is_err() {
                // The enclave's side tells why.
                return UpEnd::Finished;
            }
            self.metrics.bytes_to_enclave.add(passed as u64);
            self.activity.touch();
            self.buffer.advance(passed);
            passed = loop {
                match self.scan() {
                    Ok(Some(passed)) => break passed,
                    Ok(None) => {}
                    Err(end) => return end,
                }
                match self.fill().await {
                    Ok(()) => {}
                    Err(UpEnd::Finished) => {
                        let _ = writer.shutdown().await;
                        return UpEnd::Finished;
                    }
                    Err(end) => return end,
                }
            };
        }
    }

    fn scan(&mut self) -> Result<Option<usize>, UpEnd> {
        let before = self.gate.frames();
        let passed = match self.gate.scan(&self.buffer) {
            Ok(Piece::Pass(passed)) => passed,
            // Nothing from a requester is kept.
            Ok(Piece::Keep(_) | Piece::More) => 0,
            Err(error) => {
                tracing::debug!(%error, "frame refused");
                return Err(UpEnd::Refuse(says::code_of(&error)));
            }
        };
        let boundary = self.gate.at_boundary();
        if self.gate.frames() > 1 || (boundary && self.gate.frames() == 1) {
            self.greeted = true;
        }
        if self.greeted {
            let later = passed > 0 && (boundary || self.gate.frames() > before);
            if boundary && passed == self.buffer.len() {
                self.began = None;
            } else if later || self.began.is_none() {
                self.began = Some(Instant::now());
            }
        }
        Ok((passed > 0).then_some(passed))
    }

    /// More bytes into the buffer, before the frame's time is up.
    async fn fill(&mut self) -> Result<(), UpEnd> {
        let read = self.recv.read_chunk(READ, true);
        let limit = if self.greeted {
            self.timeouts.frame
        } else {
            self.timeouts.first_frame
        };
        let read = match self.began {
            Some(began) => tokio::time::timeout_at((began + limit).into(), read)
                .await
                .map_err(|_| UpEnd::Refuse(HostCode::Idle))?,
            None => read.await,
        };
        match read {
            Ok(Some(chunk)) => {
                self.buffer.extend_from_slice(&chunk.bytes);
                Ok(())
            }
            Ok(None) if self.gate.at_boundary() && self.buffer.is_empty() => Err(UpEnd::Finished),
            // Half a frame, a reset, a lost connection.
            Ok(None) | Err(_) => Err(UpEnd::Gone),
        }
    }
}
