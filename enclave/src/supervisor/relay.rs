//! Sealed chunks from the pipe to the connection, never opened here; sealed words of the
//! supervisor in between.

use std::io;

use duckblind_protocol::frames::{Kind, frame};
use duckblind_protocol::ids::Digest;
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::result_stream::Transcript;
use duckblind_protocol::status::{StatusMessage, StatusSealer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::clock::BootTime;
use crate::supervisor::chunks::{ChunkReader, PipeError};
use crate::supervisor::watch::{Event, Watch};

/// Bytes of unsent words beyond which keep-alives are not answered.
const MAX_UNSENT: usize = 4096;
/// What a sealed chunk has beside its plaintext, and what the final chunk may have, bytes: the
/// query process keeps the exact limit, this end a lax one.
const PER_CHUNK: u64 = 64;
const FINAL_CHUNK: u64 = 128 << 10;

/// How the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The process has closed it.
    Closed,
    /// The job must end for this reason.
    Over(JobCode),
    /// The other end of the connection is gone.
    Gone,
}

/// What was relayed.
pub struct Relayed {
    /// Chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their transcript hash.
    pub transcript: Digest,
}

/// The outgoing half of a job's connection.
pub struct Relay<W> {
    out: W,
    status: StatusSealer,
    progress_ms: u64,
    /// Frames of the supervisor, to be sent between two chunks.
    words: Vec<u8>,
    /// Bytes sent of the chunk, or of the words.
    sent: usize,
    in_chunk: bool,
    /// When something was last sent, or nothing was left to send.
    progress: BootTime,
    chunks: u64,
    bytes: u64,
    transcript: Transcript,
}

impl<W: AsyncWrite + Unpin> Relay<W> {
    /// Nothing sent yet.
    pub fn new(out: W, status: StatusSealer, progress_ms: u32) -> Self {
        Self {
            out,
            status,
            progress_ms: progress_ms.into(),
            words: Vec::new(),
            sent: 0,
            in_chunk: false,
            progress: BootTime::now(),
            chunks: 0,
            bytes: 0,
            transcript: Transcript::new(),
        }
    }

    /// Seals a word and lines it up.
    pub fn say(&mut self, message: &StatusMessage) {
        // Sealing fails after 2^64 messages only.
        if let Ok(sealed) = self.status.seal(message) {
            self.begin_sending();
            self.words.extend_from_slice(&frame(Kind::Status, &sealed));
        }
    }

    /// Answers a keep-alive.
    pub fn alive(&mut self) {
        if self.words.len() < MAX_UNSENT {
            self.say(&StatusMessage::Alive);
        }
    }

    fn begin_sending(&mut self) {
        if !self.in_chunk && self.words.is_empty() {
            self.progress = BootTime::now();
        }
    }

    fn unsent<'a>(&'a self, chunk: &'a [u8]) -> &'a [u8] {
        let all = if self.in_chunk { chunk } else { &self.words };
        all.get(self.sent..).unwrap_or_default()
    }

    /// Relays until the stream ends or the job must.
    pub async fn run<R, P>(
        &mut self,
        watch: &mut Watch<'_, R>,
        pipe: &mut ChunkReader<P>,
        result_bytes: u64,
    ) -> StreamEnd
    where
        R: AsyncRead + Unpin,
        P: AsyncRead + Unpin,
    {
        loop {
            let event = if self.in_chunk || !self.words.is_empty() {
                let stalled = self.progress.plus(self.progress_ms);
                let all = if self.in_chunk {
                    pipe.frame()
                } else {
                    &self.words
                };
                let unsent = all.get(self.sent..).unwrap_or_default();
                tokio::select! {
                    biased;
                    event = watch.event(Some(stalled)) => event,
                    wrote = self.out.write(unsent) => match wrote {
                        Ok(0) | Err(_) => return StreamEnd::Gone,
                        Ok(n) => {
                            self.wrote(n, pipe);
                            continue;
                        }
                    },
                }
            } else {
                tokio::select! {
                    biased;
                    event = watch.event(None) => event,
                    more = pipe.next() => match more {
                        Ok(false) => return StreamEnd::Closed,
                        Ok(true) => match self.take_up(pipe.chunk(), result_bytes) {
                            None => continue,
                            Some(code) => return StreamEnd::Over(code),
                        },
                        Err(PipeError::Cut) => return StreamEnd::Over(JobCode::ProcessDied),
                        Err(error) => {
                            tracing::error!(%error, "result pipe");
                            return StreamEnd::Over(JobCode::Internal);
                        }
                    },
                }
            };
            match event {
                Event::KeepAlive => self.alive(),
                Event::Over(code) => return StreamEnd::Over(code),
            }
        }
    }

    fn take_up(&mut self, chunk: &[u8], result_bytes: u64) -> Option<JobCode> {
        let bytes = self.bytes.saturating_add(chunk.len() as u64);
        let most = result_bytes
            .saturating_add(PER_CHUNK.saturating_mul(self.chunks.saturating_add(1)))
            .saturating_add(FINAL_CHUNK);
        if bytes > most {
            return Some(JobCode::ResultLimit);
        }
        self.begin_sending();
        self.bytes = bytes;
        self.chunks += 1;
        self.transcript.update(chunk);
        self.in_chunk = true;
        self.sent = 0;
        None
    }

    fn wrote<P: AsyncRead + Unpin>(&mut self, n: usize, pipe: &mut ChunkReader<P>) {
        self.progress = BootTime::now();
        self.sent += n;
        if !self.unsent(pipe.frame()).is_empty() {
            return;
        }
        self.sent = 0;
        if self.in_chunk {
            self.in_chunk = false;
            pipe.forget();
        } else {
            self.words.clear();
        }
    }

    /// Sends what is lined up, a chunk that was begun first: frames stay whole. The caller sets
    /// the time that this may take.
    pub async fn flush(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.in_chunk {
            let rest = chunk.get(self.sent..).unwrap_or_default();
            self.out.write_all(rest).await?;
            self.in_chunk = false;
            self.sent = 0;
        }
        let rest = self.words.get(self.sent..).unwrap_or_default();
        self.out.write_all(rest).await?;
        self.words.clear();
        self.sent = 0;
        self.out.flush().await
    }

    /// What was relayed so far.
    pub fn relayed(&self) -> Relayed {
        Relayed {
            chunks: self.chunks,
            bytes: self.bytes,
            transcript: self.transcript.clone().finish(),
        }
    }

    /// The connection, for what comes after the last word.
    pub fn into_inner(self) -> W {
        self.out
    }
}
