//! Frames over a byte stream. Reading may be given up and taken up again at any point.

use std::io;

use duckblind_protocol::frames::{FrameError, HEADER_LEN, Header, Kind};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A link that is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// What came is no frame, or none that belongs here.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other end stopped in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Cut,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frame by frame.
pub struct FrameReader<R> {
    stream: R,
    header: [u8; HEADER_LEN],
    payload: Option<(Kind, Vec<u8>)>,
    /// Bytes read of what is being read: header, then payload.
    read: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Over a stream.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            header: [0; HEADER_LEN],
            payload: None,
            read: 0,
        }
    }

    /// The next frame; `None` at a clean end. Kinds that are not `wanted` are refused before
    /// anything of them is read. Dropping the future loses nothing.
    pub async fn next(
        &mut self,
        wanted: fn(Kind) -> bool,
    ) -> Result<Option<(Kind, Vec<u8>)>, LinkError> {
        loop {
            let into = match &mut self.payload {
                None => self.header.get_mut(self.read..),
                Some((_, bytes)) => bytes.get_mut(self.read..),
            };
            let into = into.unwrap_or_default();
            if !into.is_empty() {
                match self.stream.read(into).await? {
                    0 if self.payload.is_none() && self.read == 0 => return Ok(None),
                    0 => return Err(LinkError::Cut),
                    n => self.read += n,
                }
                continue;
            }
            self.read = 0;
            if let Some(frame) = self.payload.take() {
                return Ok(Some(frame));
            }
            let header = Header::parse(self.header)?;
            if !wanted(header.kind) {
                return Err(FrameError::OutOfPlace(header.kind).into());
            }
            self.payload = Some((header.kind, vec![0; header.len]));
        }
    }
}

/// Writes a whole frame.
pub async fn write_frame<W: AsyncWrite + Unpin>(
    out: &mut W,
    kind: Kind,
    payload: &[u8],
) -> io::Result<()> {
    out.write_all(&duckblind_protocol::frames::frame(kind, payload))
        .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn frames_come_whole_however_they_are_cut_and_however_often_reading_is_given_up() {
        let (mut theirs, ours) = tokio::io::duplex(3);
        let mut reader = FrameReader::new(ours);
        let sender = tokio::spawn(async move {
            for n in 0..5u8 {
                let len = usize::from(n) * 7;
                write_frame(&mut theirs, Kind::Control, &vec![n; len])
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        let mut came = Vec::new();
        loop {
            let next = reader.next(|_| true);
            match tokio::time::timeout(Duration::from_millis(1), next).await {
                Err(_) => {}
                Ok(Ok(Some((kind, bytes)))) => came.push((kind, bytes)),
                Ok(end) => {
                    assert!(end.unwrap().is_none());
                    break;
                }
            }
        }
        sender.await.unwrap();
        let expected: Vec<_> = (0..5u8)
            .map(|n| (Kind::Control, vec![n; usize::from(n) * 7]))
            .collect();
        assert_eq!(came, expected);
    }

    #[tokio::test]
    async fn what_is_not_wanted_too_long_or_cut_is_refused() {
        let refused = async |bytes: &[u8]| {
            let mut reader = FrameReader::new(bytes);
            reader.next(|kind| kind == Kind::Hello).await.unwrap_err()
        };
        assert!(matches!(
            refused(&[Kind::Job as u8, 0, 0, 0, 1]).await,
            LinkError::Frame(FrameError::OutOfPlace(Kind::Job))
        ));
        assert!(matches!(
            refused(&[Kind::Hello as u8, 0xff, 0, 0, 0]).await,
            LinkError::Frame(FrameError::TooLong { .. })
        ));
        assert!(matches!(
            refused(&[99, 0, 0, 0, 0]).await,
            LinkError::Frame(FrameError::UnknownKind(99))
        ));
        assert!(matches!(
            refused(&[Kind::Hello as u8, 0, 0, 0, 2, 1]).await,
            LinkError::Cut
        ));
        assert!(matches!(
            refused(&[Kind::Hello as u8]).await,
            LinkError::Cut
        ));
    }
}
