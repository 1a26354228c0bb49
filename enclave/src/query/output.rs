//! The result on its way out: bytes gathered into chunks, sealed in place, written to the pipe.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::OwnedFd;

use duckblind_protocol::frames::MAX_CHUNK;
use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::result_stream::{CHUNK_PLAINTEXT, FinalStatus, ResultSealer};

/// Seals what is written to it.
pub(super) struct SealedOutput {
    sealer: ResultSealer,
    pipe: File,
    /// Plaintext of the chunk in the making.
    chunk: Vec<u8>,
    bytes: u64,
    limit: u64,
    beyond: bool,
}

impl SealedOutput {
    /// Up to `limit` bytes of result.
    pub(super) fn new(sealer: ResultSealer, pipe: OwnedFd, limit: u64) -> Self {
        Self {
            sealer,
            pipe: File::from(pipe),
            chunk: Vec::new(),
            bytes: 0,
            limit,
            beyond: false,
        }
    }

    /// Whether more was to be written than the limit allows.
    pub(super) fn is_beyond_limit(&self) -> bool {
        self.beyond
    }

    /// What to say then.
    pub(super) fn limit_error(&self) -> JobError {
        JobError::of(JobCode::ResultLimit)
            .expected_got(format!("at most {} bytes", self.limit), "more")
    }

    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.sealer
            .seal_data(&mut self.chunk)
            .map_err(io::Error::other)?;
        write_chunk(&mut self.pipe, &self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// The rest, and the final chunk.
    pub(super) fn finish(mut self, status: FinalStatus) -> io::Result<()> {
        self.send()?;
        let last = self.sealer.finish(status).map_err(io::Error::other)?;
        write_chunk(&mut self.pipe, &last)
    }
}

impl Write for SealedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > self.limit {
            self.beyond = true;
            return Err(io::Error::other("result limit"));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.chunk.capacity() == 0 && rest.len() > CHUNK_PLAINTEXT / 16 {
                self.chunk.reserve_exact(MAX_CHUNK);
            }
            let room = CHUNK_PLAINTEXT.saturating_sub(self.chunk.len());
            let (now, later) = rest.split_at(rest.len().min(room));
            self.chunk.extend_from_slice(now);
            if self.chunk.len() == CHUNK_PLAINTEXT {
                self.send()?;
            }
            rest = later;
        }
        Ok(bytes.len())
    }

    /// Nothing: chunks go out when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_chunk(pipe: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    let len = u32::try_from(chunk.len()).map_err(io::Error::other)?;
    let len = len.to_be_bytes();
    let mut slices = [IoSlice::new(&len), IoSlice::new(chunk)];
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match pipe.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut rest, n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::JobId;
    use duckblind_protocol::open::ResultKey;
    use std::io::Read as _;
    use zeroize::Zeroizing;

    fn written(limit: u64, write: impl FnOnce(&mut SealedOutput)) -> Vec<Vec<u8>> {
        let (read, pipe) = rustix::pipe::pipe().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            File::from(read).read_to_end(&mut bytes).unwrap();
            let mut chunks = Vec::new();
            let mut rest = &bytes[..];
            while let Some((len, tail)) = rest.split_first_chunk::<4>() {
                let (chunk, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
                chunks.push(chunk.to_vec());
                rest = tail;
            }
            chunks
        });
        let key = ResultKey::from_bytes(Box::new(Zeroizing::new([1; 32])));
        let sealer = ResultSealer::new(&key, &JobId::from_bytes([2; 16])).unwrap();
        let mut output = SealedOutput::new(sealer, pipe, limit);
        write(&mut output);
        output.finish(FinalStatus::Ok { rows: 1 }).unwrap();
        reader.join().unwrap()
    }

    #[test]
    fn full_chunks_then_the_rest_then_the_end() {
        let whole = vec![7; CHUNK_PLAINTEXT * 2 + 5];
        let chunks = written(u64::MAX, |output| {
            // In pieces that do not divide a chunk.
            for piece in whole.chunks(99_991) {
                output.write_all(piece).unwrap();
            }
        });
        assert_eq!(chunks.len(), 4);
        assert_eq!(chunks[0].len(), chunks[1].len());
        assert!(chunks[0].len() > CHUNK_PLAINTEXT);
        assert!(chunks[2].len() < 100);
        // Nothing of it in the clear.
        assert!(!chunks[0].windows(32).any(|window| window == [7; 32]));
    }

    #[test]
    fn nothing_beyond_the_limit() {
        let chunks = written(10, |output| {
            output.write_all(&[1; 10]).unwrap();
            assert!(!output.is_beyond_limit());
            assert!(output.write_all(&[1]).is_err());
            assert!(output.is_beyond_limit());
        });
        assert_eq!(chunks.len(), 2);
    }
}
