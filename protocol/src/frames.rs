//! Frames: `kind u8 ‖ length u32 BE ‖ payload`, the same on QUIC, unix sockets and vsock.

pub use crate::handshake::{
    Accepted, ChallengeRequest, EpochNote, Hello, HostCode, HostSays, Refused, TicketReply,
};

use crate::coded::{Coded, Exit};

/// Bytes of a control payload: everything that is not a data chunk.
pub const MAX_CONTROL: usize = 1 << 20;
/// Bytes of a data chunk, its AEAD tag included.
pub const MAX_CHUNK: usize = 1 << 20;
/// Bytes of an evidence payload.
pub const MAX_EVIDENCE: usize = 2 << 20;
/// Bytes of a frame header.
pub const HEADER_LEN: usize = 5;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Hello`], towards the enclave.
    Hello = 1,
    /// [`ChallengeRequest`], towards the enclave.
    Challenge = 2,
    /// [`crate::sealed_job::SealedJob`], towards the enclave.
    Job = 3,
    /// A sealed [`crate::control::ControlMessage`], towards the enclave.
    Control = 4,
    /// Empty; the host asks for epoch notes.
    Watch = 5,
    /// [`TicketReply`], from the enclave.
    Ticket = 16,
    /// An evidence envelope, from the enclave.
    Evidence = 17,
    /// [`Refused`], from the enclave.
    Refused = 18,
    /// [`Accepted`], from the enclave.
    Accepted = 19,
    /// A sealed result chunk, from the query process.
    Chunk = 20,
    /// A sealed [`crate::status::StatusMessage`], from the enclave.
    Status = 21,
    /// [`EpochNote`], from the enclave to its host only.
    Epoch = 22,
    /// [`crate::receipt::SignedUsage`], from the enclave to its host only.
    Usage = 23,
    /// [`HostSays`], from the host.
    HostSays = 32,
}

/// A frame that no end of this protocol sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such kind.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// Longer than its kind may be.
    #[error("{kind:?} frame too long")]
    TooLong {
        /// Its kind.
        kind: Kind,
        /// The length that its header says, bytes.
        len: usize,
    },
    /// A kind that does not belong here.
    #[error("{0:?} frame out of place")]
    OutOfPlace(Kind),
}

impl Coded for FrameError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownKind(_) => "DB-PRO-050",
            Self::TooLong { .. } => "DB-PRO-051",
            Self::OutOfPlace(_) => "DB-PRO-052",
        }
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::TooLong { kind, .. } => Some(format!("at most {} bytes", kind.max_len())),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::TooLong { len, .. } => Some(format!("{len} bytes")),
            _ => None,
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Hello,
        Self::Challenge,
        Self::Job,
        Self::Control,
        Self::Watch,
        Self::Ticket,
        Self::Evidence,
        Self::Refused,
        Self::Accepted,
        Self::Chunk,
        Self::Status,
        Self::Epoch,
        Self::Usage,
        Self::HostSays,
    ];

    /// Bytes that its payload may have.
    pub const fn max_len(self) -> usize {
        match self {
            Self::Job => MAX_CONTROL,
            Self::Chunk => MAX_CHUNK,
            Self::Evidence => MAX_EVIDENCE,
            Self::Status => crate::status::MAX_STATUS_MESSAGE,
            Self::Control => crate::control::MAX_CONTROL_MESSAGE,
            Self::Watch => 0,
            _ => 4096,
        }
    }

    /// Whether a requester may send it.
    pub const fn from_requester(self) -> bool {
        matches!(
            self,
            Self::Hello | Self::Challenge | Self::Job | Self::Control
        )
    }

    /// Whether it goes towards the enclave.
    pub const fn towards_enclave(self) -> bool {
        self.from_requester() || matches!(self, Self::Watch)
    }

    /// Whether it comes from the enclave.
    pub const fn from_enclave(self) -> bool {
        !self.towards_enclave() && !matches!(self, Self::HostSays)
    }

    /// Whether the host keeps it for itself.
    pub const fn for_host_only(self) -> bool {
        matches!(self, Self::Epoch | Self::Usage)
    }
}

impl TryFrom<u8> for Kind {
    type Error = FrameError;

    fn try_from(byte: u8) -> Result<Self, FrameError> {
        Self::ALL
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(FrameError::UnknownKind(byte))
    }
}

/// The first five bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// How much of it, bytes; within the kind's cap.
    pub len: usize,
}

impl Header {
    /// Reads a header; kinds and lengths that no end sends are refused before anything is
    /// allocated.
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [kind, len @ ..] = bytes;
        let kind = Kind::try_from(kind)?;
        let len = u32::from_be_bytes(len) as usize;
        if len > kind.max_len() {
            return Err(FrameError::TooLong { kind, len });
        }
        Ok(Self { kind, len })
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let len = u32::try_from(self.len).unwrap_or(u32::MAX);
        let [a, b, c, d] = len.to_be_bytes();
        [self.kind as u8, a, b, c, d]
    }
}

/// A whole frame in one buffer.
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        len: payload.len(),
    };
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn caps_hold_for_every_kind() {
        for kind in Kind::ALL {
            let at = Header {
                kind,
                len: kind.max_len(),
            };
            assert_eq!(Header::parse(at.to_bytes()), Ok(at));
            let beyond = Header {
                kind,
                len: kind.max_len() + 1,
            };
            assert!(Header::parse(beyond.to_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn headers_parse_to_themselves_or_not_at_all(bytes: [u8; 5]) {
            if let Ok(header) = Header::parse(bytes) {
                prop_assert_eq!(header.to_bytes(), bytes);
            }
        }
    }
}
