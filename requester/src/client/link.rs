//! Frames on one QUIC stream, with a time limit on every wait.

use std::time::Duration;

use duckblind_protocol::frames::{HEADER_LEN, Header, HostSays, Kind};
use quinn::{Connection, ReadExactError, RecvStream, SendStream, VarInt};

use super::error::ClientError;

/// How long a host may take to answer before a job is accepted.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to make room for a frame of ours.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The sending half.
pub struct FrameSender(SendStream);

/// The receiving half.
pub struct FrameReceiver(RecvStream);

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
    Ok((FrameSender(send), FrameReceiver(receive)))
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
        let mut header = [0; HEADER_LEN];
        match self.0.read_exact(&mut header).await {
            Ok(()) => {}
            Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
            Err(e) => return Err(ClientError::Cut(e.to_string())),
        }
        let header = Header::parse(header).map_err(|e| ClientError::Frame(e.to_string()))?;
        if header.kind.towards_enclave() || header.kind.for_host_only() {
            return Err(ClientError::Frame(format!("{:?} frame", header.kind)));
        }
        let mut payload = vec![0; header.len];
        self.0
            .read_exact(&mut payload)
            .await
            .map_err(|e| ClientError::Cut(e.to_string()))?;
        Ok(Some(Frame {
            kind: header.kind,
            payload,
        }))
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        // Nothing more of this stream is wanted; fails only if it has ended already.
        let _ = self.0.stop(VarInt::from_u32(0));
    }
}
