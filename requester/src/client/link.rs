//! Frames on one QUIC stream, with a time limit on every wait.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use duckblind_protocol::frames::{HEADER_LEN, Header, HostSays, Kind};
use quinn::{Connection, RecvStream, SendStream, VarInt};

use super::error::ClientError;

/// How long a host may take to answer before a job is accepted.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to make room for a frame of ours.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long its answer may take when it takes no more of ours.
const WORD_TIMEOUT: Duration = Duration::from_secs(1);
/// Packets taken from QUIC at a time: its lock is taken once for all of them.
const AT_ONCE: usize = 32;

/// The sending half.
pub struct FrameSender(SendStream);

/// The receiving half.
pub struct FrameReceiver {
    stream: RecvStream,
    /// Taken from QUIC, not yet looked at.
    ahead: VecDeque<Bytes>,
}

/// One frame as it came; what it says is not known to be true.
#[derive(Debug)]
pub struct Frame {
    /// What it says it is.
    pub kind: Kind,
    /// Its payload, within the cap of its kind.
    pub payload: Vec<u8>,
}

/// Opens a stream to the enclave behind the host.
pub async fn open(connection: &Connection) -> Result<(FrameSender, FrameReceiver), ClientError> {
    let opened = tokio::time::timeout(ANSWER_TIMEOUT, connection.open_bi())
        .await
        .map_err(|_| ClientError::TimedOut("the host grants no further stream"))?;
    let (send, receive) = opened.map_err(|e| ClientError::Cut(e.to_string()))?;
    let receiver = FrameReceiver {
        stream: receive,
        ahead: VecDeque::new(),
    };
    Ok((FrameSender(send), receiver))
}

/// Sends a frame and waits for the answer. Who is refused may hear it before having said all: what
/// counts is the answer, not how far the question got.
pub async fn ask(
    sender: &mut FrameSender,
    receiver: &mut FrameReceiver,
    kind: Kind,
    payload: &[u8],
) -> Result<Frame, ClientError> {
    let sent = sender.send(kind, payload).await;
    let wait = if sent.is_ok() {
        ANSWER_TIMEOUT
    } else {
        WORD_TIMEOUT
    };
    match (receiver.expect(wait).await, sent) {
        (Err(ClientError::Cut(_) | ClientError::TimedOut(_)), Err(error)) => Err(error),
        (answer, _) => answer,
    }
}

impl FrameSender {
    /// Sends one frame.
    pub async fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ClientError> {
        let header = Header {
            kind,
            len: payload.len(),
        };
        if payload.len() > kind.max_len() {
            return Err(ClientError::Frame(format!(
                "{kind:?} frame too long to send"
            )));
        }
        let write = async {
            self.0.write_all(&header.to_bytes()).await?;
            self.0.write_all(payload).await
        };
        tokio::time::timeout(SEND_TIMEOUT, write)
            .await
            .map_err(|_| ClientError::TimedOut("the host takes no more bytes"))?
            .map_err(|e| ClientError::Cut(e.to_string()))
    }

    /// Says that nothing more will come.
    pub fn finish(&mut self) {
        // Fails only if the stream was closed already.
        let _ = self.0.finish();
    }
}

impl FrameReceiver {
    /// The next frame, or none if the other side has closed the stream in order.
    ///
    /// Not cancel-safe: dropped halfway, the stream is out of step.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Frame>, ClientError> {
        tokio::time::timeout(wait, self.read())
            .await
            .map_err(|_| ClientError::TimedOut("the stream stalled"))?
    }

    /// The next frame; the end of the stream is an error, a word of the host's own too.
    pub async fn expect(&mut self, wait: Duration) -> Result<Frame, ClientError> {
        let frame = self
            .next(wait)
            .await?
            .ok_or_else(|| ClientError::Cut("the host closed the stream".into()))?;
        if frame.kind == Kind::HostSays {
            let says = HostSays::decode(&frame.payload)?;
            return Err(ClientError::HostSays {
                code: says.code,
                retry_after_ms: says.retry_after_ms,
            });
        }
        Ok(frame)
    }

    async fn read(&mut self) -> Result<Option<Frame>, ClientError> {
        if self.ahead.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let mut header = [0; HEADER_LEN];
        self.take(&mut header.as_mut_slice(), HEADER_LEN).await?;
        let header = Header::parse(header).map_err(|e| ClientError::Frame(e.to_string()))?;
        if header.kind.towards_enclave() || header.kind.for_host_only() {
            return Err(ClientError::Frame(format!("{:?} frame", header.kind)));
        }
        // Capped by the parser, per kind.
        let mut payload = Vec::with_capacity(header.len);
        self.take(&mut payload, header.len).await?;
        Ok(Some(Frame {
            kind: header.kind,
            payload,
        }))
    }

    /// Moves the next `len` bytes.
    async fn take(&mut self, into: &mut impl BufMut, mut len: usize) -> Result<(), ClientError> {
        while len > 0 {
            let Some(mut front) = self.ahead.pop_front() else {
                if self.more().await? {
                    continue;
                }
                return Err(ClientError::Cut("the stream ended within a frame".into()));
            };
            let part = front.split_to(front.len().min(len));
            len -= part.len();
            into.put(part);
            if !front.is_empty() {
                self.ahead.push_front(front);
            }
        }
        Ok(())
    }

    /// Takes what has come; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, ClientError> {
        let mut come = [const { Bytes::new() }; AT_ONCE];
        let taken = self
            .stream
            .read_chunks(&mut come)
            .await
            .map_err(|e| ClientError::Cut(e.to_string()))?;
        let come = come.into_iter().filter(|chunk| !chunk.is_empty());
        self.ahead.extend(come);
        Ok(taken.is_some())
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        // Nothing more of this stream is wanted; fails only if it has ended already.
        let _ = self.stream.stop(VarInt::from_u32(0));
    }
}
