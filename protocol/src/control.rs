//! Requester → supervisor, sealed: keep-alive and cancel.

use minicbor::{Decode, Encode};

use crate::aead::Channel;
use crate::cbor;
use crate::ids::JobId;
use crate::labels;
use crate::result_stream::StreamError;

/// Bytes that one sealed control message may have.
pub const MAX_CONTROL_MESSAGE: usize = 256;

/// What a requester can say while its job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ControlMessage {
    /// I am still here.
    #[n(1)]
    KeepAlive,
    /// Stop.
    #[n(2)]
    Cancel,
}

/// The requester's end.
pub struct ControlSealer(Channel);

impl ControlSealer {
    pub(crate) fn new(key: &[u8; 32], job: &JobId) -> Result<Self, StreamError> {
        Channel::new(key, &[labels::CONTROL_AAD.as_bytes(), job.as_bytes()])
            .map(Self)
            .map_err(|_| StreamError::Refused)
    }

    /// The next message, sealed.
    pub fn seal(&mut self, message: ControlMessage) -> Result<Vec<u8>, StreamError> {
        let mut bytes = cbor::encode(&message);
        self.0.seal(&mut bytes).map_err(|_| StreamError::Refused)?;
        Ok(bytes)
    }
}

/// The supervisor's end. A message repeated, dropped, moved or forged is refused, and everything
/// after it.
pub struct ControlOpener(Channel);

impl ControlOpener {
    pub(crate) fn new(key: &[u8; 32], job: &JobId) -> Result<Self, StreamError> {
        Channel::new(key, &[labels::CONTROL_AAD.as_bytes(), job.as_bytes()])
            .map(Self)
            .map_err(|_| StreamError::Refused)
    }

    /// Opens the next message.
    pub fn open(&mut self, mut bytes: Vec<u8>) -> Result<ControlMessage, StreamError> {
        self.0.open(&mut bytes).map_err(|_| StreamError::Refused)?;
        cbor::decode(&bytes, MAX_CONTROL_MESSAGE).map_err(StreamError::Malformed)
    }
}
