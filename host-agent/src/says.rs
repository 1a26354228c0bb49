//! What the host says in its own name: an unsigned frame, and the same code on a reset.

use std::time::Duration;

use duckblind_protocol::frames::{FrameError, HostCode, HostSays, Kind, frame};
use quinn::{RecvStream, SendStream, VarInt};

/// Codes in the order of their numbers.
pub(crate) const CODES: [HostCode; 7] = [
    HostCode::Busy,
    HostCode::TooLarge,
    HostCode::EnclaveDown,
    HostCode::Idle,
    HostCode::Limit,
    HostCode::Draining,
    HostCode::NotAllowed,
];

/// How long a refused peer may take to fetch its refusal.
const PATIENCE: Duration = Duration::from_secs(2);

/// The QUIC application error code of `code`: 0x100 and its number. It is what a peer sees of a
/// reset stream or a closed connection, where no frame fits any more.
pub fn error_code(code: HostCode) -> VarInt {
    let number = CODES.iter().position(|each| *each == code).unwrap_or(0);
    VarInt::from_u32(0x101 + u32::try_from(number).unwrap_or(0))
}

/// Why the host ends a stream, and when another try makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) code: HostCode,
    /// Milliseconds.
    pub(crate) retry_after_ms: Option<u32>,
}

impl From<HostCode> for Refusal {
    fn from(code: HostCode) -> Self {
        Self {
            code,
            retry_after_ms: retry_after_ms(code),
        }
    }
}

impl Refusal {
    /// A limit that gives way after `wait`.
    pub(crate) fn limit(wait: Duration) -> Self {
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        Self {
            code: HostCode::Limit,
            // A wait of part of a millisecond is a wait.
            retry_after_ms: Some(ms.saturating_add(1)),
        }
    }
}

/// When another try makes sense.
const fn retry_after_ms(code: HostCode) -> Option<u32> {
    match code {
        HostCode::Busy | HostCode::Limit => Some(500),
        HostCode::EnclaveDown => Some(1000),
        HostCode::Draining => Some(5000),
        HostCode::TooLarge | HostCode::Idle | HostCode::NotAllowed => None,
    }
}

/// The frame for `refusal`.
fn host_says(refusal: Refusal) -> Vec<u8> {
    frame(
        Kind::HostSays,
        &HostSays::new(refusal.code, refusal.retry_after_ms).encode(),
    )
}

/// The answer to a frame that the gate refused.
pub(crate) const fn code_of(error: &FrameError) -> HostCode {
    match error {
        FrameError::TooLong { .. } => HostCode::TooLarge,
        FrameError::UnknownKind(_) | FrameError::OutOfPlace(_) => HostCode::NotAllowed,
    }
}

/// Ends a stream with a word: the frame if the answer so far ends with a whole frame
/// (`at_boundary`), a reset with the same code otherwise. What the peer still sends is not read.
pub(crate) async fn refuse(
    send: &mut SendStream,
    recv: &mut RecvStream,
    refusal: Refusal,
    at_boundary: bool,
) {
    let error = error_code(refusal.code);
    // Errors from here on mean that the peer is gone, which is where this ends anyway.
    let _ = recv.stop(error);
    if !at_boundary {
        let _ = send.reset(error);
        return;
    }
    let said = tokio::time::timeout(PATIENCE, async {
        send.write_all(&host_says(refusal)).await.ok()?;
        send.finish().ok()?;
        send.stopped().await.ok()
    })
    .await;
    if said.is_err() {
        let _ = send.reset(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_number() {
        assert_eq!(error_code(HostCode::Busy), VarInt::from_u32(0x101));
        assert_eq!(error_code(HostCode::NotAllowed), VarInt::from_u32(0x107));
    }
}
