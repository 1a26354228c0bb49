//! The sealed result: chunks of an Arrow IPC stream, then one final chunk.
//!
//! Chunk *n* is AES-256-GCM with nonce *n* under the job's result key: a chunk dropped, repeated,
//! moved or taken from another job does not open. The final chunk holds the count of the data
//! chunks, their transcript hash and the status, so a stream that ends early is not a result.

use minicbor::{Decode, Encode};
use zeroize::Zeroize as _;

use crate::aead::{Channel, TAG_LEN};
use crate::cbor::{self, DecodeError};
use crate::coded::{Coded, Exit};
use crate::frames::MAX_CHUNK;
use crate::ids::{Digest, JobId};
use crate::job_code::JobError;
use crate::labels;
use crate::schedule::ResultKey;

/// Bytes of the result that one chunk may carry. A multiple of 64, to which Arrow aligns its buffers: what is aligned
/// in the stream stays so in every chunk, and is read where it lies.
pub const CHUNK_PLAINTEXT: usize = MAX_CHUNK - 64;
const _: () = assert!(CHUNK_PLAINTEXT + TAG_LEN < MAX_CHUNK);

const DATA: u8 = 0;
const FINAL: u8 = 1;

/// A sealed stream that is not what its sealer made.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A message does not open: changed, dropped, repeated, moved or foreign.
    #[error("a sealed message does not open: the stream was changed on its way")]
    Refused,
    /// It opened, but is not what belongs here.
    #[error("a sealed message is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The final chunk tells of another stream than the one received.
    #[error("the final chunk does not match the chunks before it")]
    Transcript,
    /// Something after the final chunk.
    #[error("a chunk after the final chunk")]
    AfterFinal,
    /// More bytes than one chunk takes.
    #[error("a chunk is too large")]
    TooLarge,
}

impl Coded for StreamError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused => "DB-PRO-040",
            Self::Malformed(_) => "DB-PRO-041",
            Self::Transcript => "DB-PRO-042",
            Self::AfterFinal => "DB-PRO-043",
            Self::TooLarge => "DB-PRO-044",
        }
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
    fn hint(&self) -> Option<String> {
        Some("the host or the network changed the stream; nothing of it was kept".into())
    }
}

/// BLAKE3 over tag ‖ (length u32 BE ‖ ciphertext) of every chunk so far. Not SHA-256 as elsewhere:
/// supervisor and requester hash every byte of every result, and this is several times as fast.
#[derive(Clone)]
pub struct Transcript(Box<blake3::Hasher>);

impl Transcript {
    /// Of no chunk.
    pub fn new() -> Self {
        Self::labelled(labels::TRANSCRIPT)
    }

    /// Over tags instead of chunks. Enough within the seal, where each tag vouches for its chunk; a
    /// receipt, which has to convince those who know the key too, needs every byte.
    fn of_tags() -> Self {
        Self::labelled(labels::TAG_TRANSCRIPT)
    }

    fn labelled(label: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(label.as_bytes());
        Self(Box::new(hasher))
    }

    /// Adds one ciphertext chunk.
    pub fn update(&mut self, chunk: &[u8]) {
        let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        self.0.update(&len.to_be_bytes());
        self.0.update(chunk);
    }

    /// The hash of all that was added.
    pub fn finish(self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

/// The tag of a chunk. What is too short to have one does not open either.
fn tag(chunk: &[u8]) -> [u8; TAG_LEN] {
    chunk.last_chunk().copied().unwrap_or_default()
}

/// How the query ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FinalStatus {
    /// The stream is a whole result.
    #[n(1)]
    Ok {
        /// Rows in it.
        #[n(0)]
        rows: u64,
    },
    /// It is not.
    #[n(2)]
    Failed(#[n(0)] JobError),
}

/// The content of the final chunk.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Final {
    /// Data chunks before it.
    #[n(0)]
    pub chunks: u64,
    /// Result bytes in them.
    #[n(1)]
    pub bytes: u64,
    /// Transcript hash of the data chunks' tags.
    #[n(2)]
    pub transcript: Digest,
    /// How it ended.
    #[n(3)]
    pub status: FinalStatus,
}

fn channel(key: &ResultKey, job: &JobId) -> Result<Channel, StreamError> {
    Channel::new(
        key.expose(),
        &[labels::RESULT_AAD.as_bytes(), job.as_bytes()],
    )
    .map_err(|_| StreamError::Refused)
}

/// The query process's end.
pub struct ResultSealer {
    channel: Channel,
    tags: Transcript,
    chunks: u64,
    bytes: u64,
}

impl ResultSealer {
    /// At the start of the stream.
    pub fn new(key: &ResultKey, job: &JobId) -> Result<Self, StreamError> {
        Ok(Self {
            channel: channel(key, job)?,
            tags: Transcript::of_tags(),
            chunks: 0,
            bytes: 0,
        })
    }

    /// Turns at most [`CHUNK_PLAINTEXT`] bytes into the next chunk, in place.
    pub fn seal_data(&mut self, buffer: &mut Vec<u8>) -> Result<(), StreamError> {
        if buffer.len() > CHUNK_PLAINTEXT {
            return Err(StreamError::TooLarge);
        }
        self.bytes += buffer.len() as u64;
        buffer.push(DATA);
        self.channel
            .seal(buffer)
            .map_err(|_| StreamError::Refused)?;
        self.tags.update(&tag(buffer));
        self.chunks += 1;
        Ok(())
    }

    /// The final chunk.
    pub fn finish(mut self, status: FinalStatus) -> Result<Vec<u8>, StreamError> {
        let mut buffer = cbor::encode(&Final {
            chunks: self.chunks,
            bytes: self.bytes,
            transcript: self.tags.finish(),
            status,
        });
        buffer.push(FINAL);
        self.channel
            .seal(&mut buffer)
            .map_err(|_| StreamError::Refused)?;
        Ok(buffer)
    }
}

/// What one chunk held.
#[derive(Debug)]
pub enum Opened {
    /// The next bytes of the Arrow IPC stream.
    Data(Vec<u8>),
    /// The end.
    Final(Final),
}

/// The requester's end.
pub struct ResultOpener {
    channel: Channel,
    /// Of every chunk, as the supervisor relayed it.
    transcript: Transcript,
    /// Of the data chunks.
    tags: Transcript,
    chunks: u64,
    bytes: u64,
    ended: bool,
}

impl ResultOpener {
    pub(crate) fn new(key: &ResultKey, job: &JobId) -> Result<Self, StreamError> {
        Ok(Self {
            channel: channel(key, job)?,
            transcript: Transcript::new(),
            tags: Transcript::of_tags(),
            chunks: 0,
            bytes: 0,
            ended: false,
        })
    }

    /// Opens the next chunk, in place.
    pub fn open(&mut self, mut chunk: Vec<u8>) -> Result<Opened, StreamError> {
        if self.ended {
            return Err(StreamError::AfterFinal);
        }
        self.transcript.update(&chunk);
        let tag = tag(&chunk);
        if self.channel.open(&mut chunk).is_err() {
            self.ended = true;
            return Err(StreamError::Refused);
        }
        match chunk.pop() {
            Some(DATA) => {
                self.tags.update(&tag);
                self.chunks += 1;
                self.bytes += chunk.len() as u64;
                Ok(Opened::Data(chunk))
            }
            Some(FINAL) => {
                self.ended = true;
                let end: Final = cbor::decode(&chunk, MAX_CHUNK)?;
                let matches = end.chunks == self.chunks
                    && end.bytes == self.bytes
                    && end.transcript.ct_eq(&self.tags.clone().finish());
                if !matches {
                    return Err(StreamError::Transcript);
                }
                Ok(Opened::Final(end))
            }
            _ => {
                chunk.zeroize();
                self.ended = true;
                Err(StreamError::Malformed(DecodeError::Invalid("chunk kind")))
            }
        }
    }

    /// Count and transcript hash of every chunk opened so far, the final one included: what the
    /// job receipt must say.
    pub fn relayed(&self) -> (u64, Digest) {
        let chunks = self.chunks + u64::from(self.ended);
        (chunks, self.transcript.clone().finish())
    }
}
