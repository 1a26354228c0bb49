//! From the requester to the enclave.

use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use duckblind_protocol::frames::{ChallengeRequest, HEADER_LEN, HostCode};
use quinn::RecvStream;
use tokio::io::AsyncWriteExt as _;

use super::activity::Activity;
use super::{Peer, Relay};
use crate::enclave_link::Writer;
use crate::gate::{Direction, Gate, Piece};
use crate::says::{self, Refusal};

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
    Refuse(Refusal),
}

pub(super) struct Uplink<'a> {
    relay: &'a Relay,
    peer: Peer,
    recv: &'a mut RecvStream,
    activity: &'a Activity,
    buffer: BytesMut,
    gate: Gate,
    /// When the frame that is under way began; none between frames.
    began: Option<Instant>,
    /// Whether a whole frame has come.
    greeted: bool,
}

impl<'a> Uplink<'a> {
    pub(super) fn new(
        relay: &'a Relay,
        peer: Peer,
        recv: &'a mut RecvStream,
        activity: &'a Activity,
    ) -> Self {
        Self {
            relay,
            peer,
            recv,
            activity,
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
            self.relay.metrics.bytes_to_enclave.add(passed as u64);
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
            Ok(Piece::Keep(whole)) => {
                self.judge_challenge(whole).map_err(UpEnd::Refuse)?;
                whole
            }
            Ok(Piece::More) => 0,
            Err(error) => {
                tracing::debug!(%error, "frame refused");
                return Err(UpEnd::Refuse(says::code_of(&error).into()));
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

    /// Whether the challenge at the front of the buffer, `whole` bytes with its header, may pass: a
    /// requester's own, within its rate.
    ///
    /// One without a requester's nonce would bring the evidence that a node posts for itself. Only
    /// this host asks for that, or else any node could attest with this node's enclave.
    fn judge_challenge(&self, whole: usize) -> Result<(), Refusal> {
        let payload = self.buffer.get(HEADER_LEN..whole).unwrap_or_default();
        let own = ChallengeRequest::decode(payload)
            .is_ok_and(|request| request.requester_nonce.is_some());
        if !own {
            tracing::debug!("challenge refused: it holds no requester's nonce");
            return Err(HostCode::NotAllowed.into());
        }
        let Peer { node, address } = self.peer;
        self.relay
            .challenges
            .admit(node, address, Instant::now())
            .map_err(Refusal::limit)
    }

    /// More bytes into the buffer, before the frame's time is up.
    async fn fill(&mut self) -> Result<(), UpEnd> {
        let read = self.recv.read_chunk(READ, true);
        let limit = if self.greeted {
            self.relay.timeouts.frame
        } else {
            self.relay.timeouts.first_frame
        };
        let read = match self.began {
            Some(began) => tokio::time::timeout_at((began + limit).into(), read)
                .await
                .map_err(|_| UpEnd::Refuse(HostCode::Idle.into()))?,
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
