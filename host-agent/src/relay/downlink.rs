//! From the enclave to the requester: the road that results take.
//!
//! One copy: socket to block. The block's filled part is frozen and handed to QUIC, which sends
//! from it and drops it when acknowledged; then the block is filled again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use duckblind_protocol::frames::{FrameError, HEADER_LEN};
use duckblind_protocol::ids::NodeId;
use quinn::SendStream;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::Relay;
use super::activity::Activity;
use crate::clock::unix_now;
use crate::enclave_link::Reader;
use crate::gate::{Direction, Gate, Piece};
use crate::transport;

/// Bytes of a block.
const BLOCK: usize = 512 << 10;
/// With less room than this left, the next block is taken.
const ROOM: usize = 128 << 10;
/// Most blocks kept for another turn: as many as QUIC may hold unacknowledged, and two.
const SPARE: usize = transport::SEND_WINDOW / (BLOCK - ROOM) + 2;

/// Why no more goes to the requester.
#[derive(Debug)]
pub(super) enum DownEnd {
    /// The enclave closed after its last whole frame.
    Ended,
    /// The enclave closed without a word.
    Nothing,
    /// The enclave closed in the middle of a frame.
    Cut,
    /// The enclave sent what it may not.
    Broken(FrameError),
    /// The requester takes nothing.
    Stalled,
    /// The requester is gone.
    Gone,
}

pub(super) struct Downlink<'a> {
    relay: &'a Relay,
    peer: NodeId,
    activity: &'a Activity,
    reader: Reader,
    buffer: BytesMut,
    /// Full blocks, oldest first; parts of them may still be with QUIC.
    spare: VecDeque<BytesMut>,
    gate: Gate,
    /// Passed by the gate, not yet taken by QUIC.
    pending: Bytes,
}

impl<'a> Downlink<'a> {
    pub(super) fn new(
        relay: &'a Relay,
        peer: NodeId,
        activity: &'a Activity,
        reader: Reader,
    ) -> Self {
        Self {
            relay,
            peer,
            activity,
            reader,
            buffer: BytesMut::with_capacity(BLOCK),
            spare: VecDeque::new(),
            gate: Gate::new(Direction::FromEnclave),
            pending: Bytes::new(),
        }
    }

    /// Whether all that went out so far ends with a whole frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.pending.is_empty() && self.gate.at_boundary()
    }

    /// Moves frames until there is an end. Safe to drop at any await: what QUIC has not taken
    /// stays in `pending`.
    pub(super) async fn run(&mut self, send: &mut SendStream) -> DownEnd {
        loop {
            while !self.pending.is_empty() {
                let write = send.write_chunks(std::slice::from_mut(&mut self.pending));
                match timeout(self.relay.timeouts.stall, write).await {
                    Ok(Ok(_)) => self.activity.touch(),
                    Ok(Err(_)) => return DownEnd::Gone,
                    Err(_) => return DownEnd::Stalled,
                }
            }
            match self.gate.scan(&self.buffer) {
                Ok(Piece::Pass(passed)) => {
                    self.relay.metrics.bytes_from_enclave.add(passed as u64);
                    self.pending = self.buffer.split_to(passed).freeze();
                }
                Ok(Piece::Keep(whole)) => self.keep(whole),
                Ok(Piece::More) => match self.fill().await {
                    Ok(0) | Err(_) => return self.ended(),
                    Ok(_) => self.activity.touch(),
                },
                Err(error) => return DownEnd::Broken(error),
            }
        }
    }

    /// Goes on reading for the usage record alone, for at most `patience`.
    pub(super) async fn collect(&mut self, patience: Duration) {
        let _ = timeout(patience, async {
            loop {
                match self.gate.scan(&self.buffer) {
                    Ok(Piece::Pass(passed)) => self.buffer.advance(passed),
                    Ok(Piece::Keep(whole)) => self.keep(whole),
                    Ok(Piece::More) => match self.fill().await {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {}
                    },
                    Err(_) => return,
                }
            }
        })
        .await;
    }

    async fn fill(&mut self) -> std::io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < ROOM {
            self.turn_over();
        }
        self.reader.read_buf(&mut self.buffer).await
    }

    /// Goes on in a block that QUIC is done with, or in a new one.
    fn turn_over(&mut self) {
        let done = self.spare.front_mut().is_some_and(|b| b.try_reclaim(BLOCK));
        let mut next = self
            .spare
            .pop_front_if(|_| done)
            .unwrap_or_else(|| BytesMut::with_capacity(BLOCK));
        next.extend_from_slice(&self.buffer);
        let mut full = std::mem::replace(&mut self.buffer, next);
        full.clear();
        if self.spare.len() < SPARE {
            self.spare.push_back(full);
        }
    }

    fn ended(&self) -> DownEnd {
        if !self.gate.at_boundary() || !self.buffer.is_empty() {
            DownEnd::Cut
        } else if self.gate.frames() == 0 {
            DownEnd::Nothing
        } else {
            DownEnd::Ended
        }
    }

    fn keep(&mut self, whole: usize) {
        let mut record = self.buffer.split_to(whole);
        record.advance(HEADER_LEN);
        self.relay.metrics.usage_records.add(1);
        let Some(log) = self.relay.usage.as_ref().map(Arc::clone) else {
            return;
        };
        let peer = self.peer;
        tokio::task::spawn_blocking(move || {
            if let Err(error) = log.append(&peer, unix_now(), &record) {
                tracing::error!(%error, "a usage record was not written");
            }
        });
    }
}
