//! The two ends of the pair: blocking in the query process, asynchronous in the supervisor.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use duckblind_protocol::cbor;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use zeroize::{Zeroize as _, Zeroizing};

use crate::handover::packet::{
    Assembler, Kind, MAX_FDS, MAX_PACKET, PacketError, files_in, files_packet, packets,
};
use crate::handover::{Done, HandedJob, JobHeader, KEYS_LEN, Keys, Ready, Setup, cap, no_keys};

/// The pair is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end is gone.
    #[error("the other process has ended")]
    Closed,
    /// What came is not what the protocol has here.
    #[error("an unexpected message between supervisor and query process")]
    Unexpected,
    /// The packets do not make up a message.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// A message does not decode.
    #[error(transparent)]
    Decode(#[from] cbor::DecodeError),
    /// The system says no.
    #[error("socket between supervisor and query process: {0}")]
    Io(#[from] Errno),
}

fn send(
    socket: BorrowedFd<'_>,
    header: &[u8],
    part: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let slices = [IoSlice::new(header), IoSlice::new(part)];
    sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One packet into `buffer`, its descriptors onto `fds`; 0 bytes: the other end is gone.
fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(
        socket,
        &mut [std::io::IoSliceMut::new(buffer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            fds.extend(came);
        }
    }
    if message
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(Errno::MSGSIZE);
    }
    Ok(message.bytes)
}

/// The query process's end.
pub struct ProcessEnd {
    socket: OwnedFd,
    buffer: Zeroizing<Vec<u8>>,
    assembler: Assembler,
}

impl ProcessEnd {
    /// Over its socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: Zeroizing::new(vec![0; MAX_PACKET]),
            assembler: Assembler::default(),
        }
    }

    fn packet(&mut self, fds: &mut Vec<OwnedFd>) -> Result<usize, ChannelError> {
        loop {
            match receive(self.socket.as_fd(), &mut self.buffer, fds) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(len) => return Ok(len),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn message(&mut self, wanted: Kind) -> Result<Vec<u8>, ChannelError> {
        let mut fds = Vec::new();
        loop {
            let len = self.packet(&mut fds)?;
            let packet = self.buffer.get(..len).unwrap_or_default();
            match self.assembler.push(packet)? {
                _ if !fds.is_empty() => return Err(ChannelError::Unexpected),
                Some((kind, bytes)) if kind == wanted => return Ok(bytes),
                Some(_) => return Err(ChannelError::Unexpected),
                None => {}
            }
        }
    }

    /// Waits for the first message.
    pub fn setup(&mut self) -> Result<Setup, ChannelError> {
        let bytes = self.message(Kind::Setup)?;
        Ok(cbor::decode(&bytes, cap(Kind::Setup))?)
    }

    /// Waits for the job.
    pub fn job(&mut self) -> Result<HandedJob, ChannelError> {
        let bytes = self.message(Kind::Job)?;
        let header: JobHeader = cbor::decode(&bytes, cap(Kind::Job))?;

        let raw = Zeroizing::new(self.message(Kind::Keys)?);
        let mut keys = no_keys();
        if raw.len() != KEYS_LEN {
            return Err(ChannelError::Unexpected);
        }
        keys.copy_from_slice(&raw);
        self.buffer.zeroize();
        self.buffer.resize(MAX_PACKET, 0);

        let mut files = Vec::new();
        while files.len() < header.file_count() {
            let before = files.len();
            let len = self.packet(&mut files)?;
            let said = files_in(self.buffer.get(..len).unwrap_or_default());
            if said != Some(files.len() - before) || said == Some(0) {
                return Err(ChannelError::Unexpected);
            }
        }
        if files.len() != header.file_count() {
            return Err(ChannelError::Unexpected);
        }
        let section = self.message(Kind::Section)?;
        Ok(HandedJob {
            header,
            keys,
            files,
            section,
        })
    }

    fn say(&self, kind: Kind, message: &[u8]) -> Result<(), ChannelError> {
        for packet in packets(kind, message) {
            while let Err(error) = send(self.socket.as_fd(), packet.header(), packet.part, &[]) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Says that this process is warm.
    pub fn ready(&self, ready: &Ready) -> Result<(), ChannelError> {
        self.say(Kind::Ready, &cbor::encode(ready))
    }

    /// Waits until the supervisor is gone; it kills this process before.
    pub fn wait_for_the_end(&mut self) {
        while self.packet(&mut Vec::new()).is_ok() {}
    }

    /// Says how the job ended.
    pub fn done(&self, done: Done) -> Result<(), ChannelError> {
        self.say(Kind::Done, &cbor::encode(&done))
    }
}

/// The supervisor's end.
pub struct SupervisorEnd {
    socket: AsyncFd<OwnedFd>,
    assembler: Assembler,
}

impl SupervisorEnd {
    /// Over its socket, which must not block; inside a tokio runtime.
    pub fn new(socket: OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            socket: crate::sys::wait_on(socket, Interest::READABLE | Interest::WRITABLE)?,
            assembler: Assembler::default(),
        })
    }

    async fn send(
        &self,
        header: &[u8],
        part: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        loop {
            let mut guard = self.socket.writable().await.map_err(errno)?;
            match send(self.socket.as_fd(), header, part, fds) {
                Ok(()) => return Ok(()),
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn say(&self, kind: Kind, message: &[u8]) -> Result<(), ChannelError> {
        for packet in packets(kind, message) {
            self.send(packet.header(), packet.part, &[]).await?;
        }
        Ok(())
    }

    /// The first message.
    pub async fn setup(&self, setup: &Setup) -> Result<(), ChannelError> {
        self.say(Kind::Setup, &cbor::encode(setup)).await
    }

    /// Hands a job over. The keys go from where they are into the socket, without a copy.
    pub async fn job(
        &self,
        header: &JobHeader,
        keys: &Keys,
        files: &[OwnedFd],
        section: &[u8],
    ) -> Result<(), ChannelError> {
        self.say(Kind::Job, &cbor::encode(header)).await?;
        self.say(Kind::Keys, keys.as_slice()).await?;
        for batch in files.chunks(MAX_FDS) {
            let fds: Vec<_> = batch.iter().map(OwnedFd::as_fd).collect();
            let packet = files_packet(fds.len()).ok_or(ChannelError::Unexpected)?;
            self.send(&packet, &[], &fds).await?;
        }
        self.say(Kind::Section, section).await
    }

    async fn message(&mut self, wanted: Kind) -> Result<Vec<u8>, ChannelError> {
        loop {
            let mut guard = self.socket.readable().await.map_err(errno)?;
            match Self::step(self.socket.as_fd(), &mut self.assembler) {
                Ok(Some((kind, bytes))) if kind == wanted => return Ok(bytes),
                Ok(Some(_)) => return Err(ChannelError::Unexpected),
                Err(ChannelError::Io(Errno::AGAIN)) => guard.clear_ready(),
                Ok(None) | Err(ChannelError::Io(Errno::INTR)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn step(
        socket: BorrowedFd<'_>,
        assembler: &mut Assembler,
    ) -> Result<Option<(Kind, Vec<u8>)>, ChannelError> {
        // A query process has nothing long to say.
        let mut buffer = [0; 4096];
        let mut fds = Vec::new();
        let len = match receive(socket, &mut buffer, &mut fds) {
            Ok(0) | Err(Errno::CONNRESET) => return Err(ChannelError::Closed),
            other => other?,
        };
        if !fds.is_empty() {
            return Err(ChannelError::Unexpected);
        }
        Ok(assembler.push(buffer.get(..len).unwrap_or_default())?)
    }

    /// Waits until the process is warm.
    pub async fn ready(&mut self) -> Result<Ready, ChannelError> {
        let bytes = self.message(Kind::Ready).await?;
        Ok(cbor::decode(&bytes, cap(Kind::Ready))?)
    }

    /// Waits for the end of the job.
    pub async fn done(&mut self) -> Result<Done, ChannelError> {
        let bytes = self.message(Kind::Done).await?;
        Ok(cbor::decode(&bytes, cap(Kind::Done))?)
    }

    /// Whether the process still waits in silence, as a standby must.
    pub fn is_silent(&self) -> bool {
        let mut buffer = [0; 1];
        matches!(
            receive(self.socket.as_fd(), &mut buffer, &mut Vec::new()),
            Err(Errno::AGAIN)
        )
    }

    /// Returns when the process has ended or says anything: a standby must do neither.
    pub async fn broken(&self) {
        while let Ok(mut guard) = self.socket.readable().await {
            if !self.is_silent() {
                return;
            }
            guard.clear_ready();
        }
    }
}

fn errno(error: std::io::Error) -> ChannelError {
    ChannelError::Io(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
