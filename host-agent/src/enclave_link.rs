//! The way to the enclave: a fresh connection per session, and the two conversations that the host
//! has in its own name (challenge, watch).

use std::io;
use std::time::Duration;

use duckblind_protocol::frames::{
    ChallengeRequest, EpochNote, HEADER_LEN, Header, Kind, Refused, frame,
};
use duckblind_protocol::job_code::JobCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_vsock::{VsockAddr, VsockStream};

use crate::config::EnclaveAddress;
use crate::error::HostError;

/// Bounds of the pause before a busy enclave is asked again.
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(1);

/// What comes from the enclave, over either kind of socket.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// What goes to the enclave.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// How the enclave is reached, and how long that may take.
#[derive(Clone, Debug)]
pub struct EnclaveLink {
    address: EnclaveAddress,
    connect: Duration,
}

impl EnclaveLink {
    /// Nothing is dialled yet.
    pub const fn new(address: EnclaveAddress, connect: Duration) -> Self {
        Self { address, connect }
    }

    /// A fresh connection.
    pub async fn open(&self) -> Result<(Reader, Writer), HostError> {
        timeout(self.connect, self.dial())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| self.down(source))
    }

    async fn dial(&self) -> io::Result<(Reader, Writer)> {
        match &self.address {
            EnclaveAddress::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await?.into_split();
                Ok((Box::new(reader), Box::new(writer)))
            }
            EnclaveAddress::Vsock { cid, port } => {
                let address = VsockAddr::new(*cid, *port);
                let (reader, writer) = VsockStream::connect(address).await?.into_split();
                Ok((Box::new(reader), Box::new(writer)))
            }
        }
    }

    /// Asks for evidence over `challenge`, within `patience`: again and again while the enclave is
    /// busy with the challenges of others.
    pub async fn evidence(
        &self,
        challenge: &ChallengeRequest,
        patience: Duration,
    ) -> Result<Vec<u8>, HostError> {
        timeout(patience, async {
            loop {
                let answer = self.ask(challenge).await?;
                let Some(pause) = busy(answer.as_ref()) else {
                    return self.evidence_of(answer);
                };
                tokio::time::sleep(pause).await;
            }
        })
        .await
        .unwrap_or_else(|_| Err(self.down(io::ErrorKind::TimedOut.into())))
    }

    async fn ask(
        &self,
        challenge: &ChallengeRequest,
    ) -> Result<Option<(Kind, Vec<u8>)>, HostError> {
        let (mut reader, mut writer) = self.open().await?;
        writer
            .write_all(&frame(Kind::Challenge, &challenge.encode()))
            .await
            .map_err(|source| self.down(source))?;
        self.read_frame(&mut reader).await
    }

    fn evidence_of(&self, answer: Option<(Kind, Vec<u8>)>) -> Result<Vec<u8>, HostError> {
        match answer {
            Some((Kind::Evidence, evidence)) => Ok(evidence),
            Some((Kind::Refused, payload)) => {
                let code = Refused::decode(&payload).map_or("unreadable", |said| said.code.code());
                Err(HostError::EnclaveProtocol(format!(
                    "it refused a challenge: {code}"
                )))
            }
            Some((kind, _)) => Err(out_of_turn(kind)),
            None => Err(self.down(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Opens a watch: the current epoch at once, and every later one.
    pub async fn watch(&self) -> Result<Watch<'_>, HostError> {
        let (reader, mut writer) = self.open().await?;
        writer
            .write_all(&frame(Kind::Watch, &[]))
            .await
            .map_err(|source| self.down(source))?;
        Ok(Watch {
            link: self,
            reader,
            _writer: writer,
        })
    }

    /// One whole frame; `None` if the connection ended before it.
    async fn read_frame(&self, reader: &mut Reader) -> Result<Option<(Kind, Vec<u8>)>, HostError> {
        let mut header = [0; HEADER_LEN];
        match reader.read_exact(&mut header).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(source) => return Err(self.down(source)),
        }
        let header =
            Header::parse(header).map_err(|error| HostError::EnclaveProtocol(error.to_string()))?;
        // Capped by the parser, per kind.
        let mut payload = vec![0; header.len];
        reader
            .read_exact(&mut payload)
            .await
            .map_err(|source| self.down(source))?;
        Ok(Some((header.kind, payload)))
    }

    fn down(&self, source: io::Error) -> HostError {
        HostError::EnclaveDown {
            address: self.address.to_string(),
            source,
        }
    }
}

/// A standing connection on which the enclave tells its epochs. It ends when the enclave ends.
pub struct Watch<'a> {
    link: &'a EnclaveLink,
    reader: Reader,
    // Dropped, it would tell the enclave that nobody listens.
    _writer: Writer,
}

impl Watch<'_> {
    /// The next note; `None` when the enclave has ended.
    pub async fn next(&mut self) -> Result<Option<EpochNote>, HostError> {
        match self.link.read_frame(&mut self.reader).await? {
            Some((Kind::Epoch, payload)) => EpochNote::decode(&payload)
                .map(Some)
                .map_err(|error| HostError::EnclaveProtocol(error.to_string())),
            Some((kind, _)) => Err(out_of_turn(kind)),
            None => Ok(None),
        }
    }
}

/// When to come back, if the answer is that the enclave is busy.
fn busy(answer: Option<&(Kind, Vec<u8>)>) -> Option<Duration> {
    let Some((Kind::Refused, payload)) = answer else {
        return None;
    };
    let said = Refused::decode(payload).ok()?;
    let pause = Duration::from_millis(said.retry_after_ms?.into());
    (said.code == JobCode::Busy).then(|| pause.clamp(SOONEST, LATEST))
}

fn out_of_turn(kind: Kind) -> HostError {
    HostError::EnclaveProtocol(format!("{kind:?} frame out of turn"))
}
