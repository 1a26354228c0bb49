//! Supervisor → requester, sealed: signs of life, failures without a result, the job receipt.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::aead::Channel;
use crate::cbor;
use crate::ids::JobId;
use crate::job_code::JobError;
use crate::labels;
use crate::result_stream::StreamError;

/// Bytes that one sealed status message may have.
pub const MAX_STATUS_MESSAGE: usize = 256 << 10;

/// What a supervisor says of a running job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StatusMessage {
    /// Answer to a keep-alive.
    #[n(1)]
    Alive,
    /// The supervisor ended the job; the result stream is not finished.
    #[n(2)]
    Failed(#[n(0)] JobError),
    /// The signed job receipt; always the last message.
    #[n(3)]
    Receipt(#[n(0)] ByteVec),
}

/// The supervisor's end.
pub struct StatusSealer(Channel);

impl StatusSealer {
    pub(crate) fn new(key: &[u8; 32], job: &JobId) -> Result<Self, StreamError> {
        Channel::new(key, &[labels::STATUS_AAD.as_bytes(), job.as_bytes()])
            .map(Self)
            .map_err(|_| StreamError::Refused)
    }

    /// The next message, sealed.
    pub fn seal(&mut self, message: &StatusMessage) -> Result<Vec<u8>, StreamError> {
        let mut bytes = cbor::encode(message);
        self.0.seal(&mut bytes).map_err(|_| StreamError::Refused)?;
        Ok(bytes)
    }
}

/// The requester's end.
pub struct StatusOpener(Channel);

impl StatusOpener {
    pub(crate) fn new(key: &[u8; 32], job: &JobId) -> Result<Self, StreamError> {
        Channel::new(key, &[labels::STATUS_AAD.as_bytes(), job.as_bytes()])
            .map(Self)
            .map_err(|_| StreamError::Refused)
    }

    /// Opens the next message.
    pub fn open(&mut self, mut bytes: Vec<u8>) -> Result<StatusMessage, StreamError> {
        self.0.open(&mut bytes).map_err(|_| StreamError::Refused)?;
        cbor::decode(&bytes, MAX_STATUS_MESSAGE).map_err(StreamError::Malformed)
    }
}
