//! The result pipe: `length u32 BE ‖ ciphertext`, read into a buffer that already has room for the
//! frame header, so that a chunk goes out as it came in.

use std::io;

use duckblind_protocol::frames::{HEADER_LEN, Header, Kind, MAX_CHUNK};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const LENGTH: usize = 4;

/// A pipe of no more use.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// A chunk beyond its cap, or of no bytes.
    #[error("a chunk of {0} bytes from the query process")]
    Length(usize),
    /// The process ended in the middle of a chunk.
    #[error("the query process ended in the middle of a chunk")]
    Cut,
    /// The pipe failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one chunk after the other.
pub struct ChunkReader<R> {
    pipe: R,
    /// Header and the longest chunk.
    buffer: Vec<u8>,
    length: [u8; LENGTH],
    /// Bytes of this chunk, once known.
    chunk: Option<usize>,
    read: usize,
}

impl<R: AsyncRead + Unpin> ChunkReader<R> {
    /// At the start of a result.
    pub fn new(pipe: R) -> Self {
        Self {
            pipe,
            buffer: vec![0; HEADER_LEN + MAX_CHUNK],
            length: [0; LENGTH],
            chunk: None,
            read: 0,
        }
    }

    /// Reads the next chunk; false at the end of the stream. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<bool, PipeError> {
        loop {
            let into = match self.chunk {
                None => self.length.get_mut(self.read..),
                Some(len) => self
                    .buffer
                    .get_mut(HEADER_LEN + self.read..HEADER_LEN + len),
            };
            match self.pipe.read(into.unwrap_or_default()).await? {
                0 if self.chunk.is_none() && self.read == 0 => return Ok(false),
                0 => return Err(PipeError::Cut),
                n => self.read += n,
            }
            match self.chunk {
                None if self.read == LENGTH => self.begin()?,
                Some(len) if self.read == len => {
                    self.read = 0;
                    return Ok(true);
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self) -> Result<(), PipeError> {
        let len = u32::from_be_bytes(self.length) as usize;
        if len == 0 || len > MAX_CHUNK {
            return Err(PipeError::Length(len));
        }
        let header = Header {
            kind: Kind::Chunk,
            len,
        };
        for (to, from) in self.buffer.iter_mut().zip(header.to_bytes()) {
            *to = from;
        }
        self.chunk = Some(len);
        self.read = 0;
        Ok(())
    }

    /// The chunk that was read, without its frame header.
    pub fn chunk(&self) -> &[u8] {
        self.frame().get(HEADER_LEN..).unwrap_or_default()
    }

    /// The chunk that was read, as a frame.
    pub fn frame(&self) -> &[u8] {
        let end = HEADER_LEN + self.chunk.unwrap_or(0);
        self.buffer.get(..end).unwrap_or_default()
    }

    /// Lets go of the chunk, to read the next.
    pub fn forget(&mut self) {
        self.chunk = None;
        self.read = 0;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn chunks_become_frames() {
        let (mut theirs, ours) = tokio::io::duplex(5);
        let mut reader = ChunkReader::new(ours);
        tokio::spawn(async move {
            for len in [1u32, 300, 7] {
                theirs.write_all(&len.to_be_bytes()).await.unwrap();
                theirs.write_all(&vec![7; len as usize]).await.unwrap();
            }
        });
        for len in [1, 300, 7] {
            while tokio::time::timeout(std::time::Duration::from_micros(50), reader.next())
                .await
                .is_err()
            {}
            assert_eq!(reader.chunk(), vec![7; len]);
            let header = <[u8; HEADER_LEN]>::try_from(reader.frame().get(..5).unwrap()).unwrap();
            let header = Header::parse(header).unwrap();
            assert_eq!((header.kind, header.len), (Kind::Chunk, len));
            reader.forget();
        }
        assert!(!reader.next().await.unwrap());
    }

    #[tokio::test]
    async fn impossible_lengths_and_cuts_are_refused() {
        let next = async |bytes: &'static [u8]| ChunkReader::new(bytes).next().await;
        assert!(matches!(
            next(&[0, 0, 0, 0]).await,
            Err(PipeError::Length(0))
        ));
        assert!(matches!(
            next(&[0, 0x10, 0, 1]).await,
            Err(PipeError::Length(0x10_0001))
        ));
        assert!(matches!(next(&[0, 0, 0, 2, 1]).await, Err(PipeError::Cut)));
        assert!(matches!(next(&[0, 0]).await, Err(PipeError::Cut)));
        assert!(matches!(next(&[]).await, Ok(false)));
    }
}
