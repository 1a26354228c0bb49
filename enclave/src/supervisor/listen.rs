//! Where the host connects to: a unix socket in a directory that nobody else can write to, or a
//! port of this virtual machine.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

use crate::config::Listen;
use crate::error::EnclaveError;

/// Bytes on their way to the host: one whole chunk.
const SEND_BUFFER: usize = 1 << 20;

/// What comes from the host.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// What goes to the host.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A listening socket; its file, if it has one, is removed when this is dropped.
pub enum Listening {
    /// A unix socket and its file.
    Unix(UnixListener, PathBuf),
    /// A port of this machine.
    Vsock(VsockListener),
}

impl Listening {
    /// The next connection.
    pub async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Less works as well, with more turns.
                let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
                let (read, write) = stream.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            Self::Vsock(listener) => {
                let (read, write) = listener.accept().await?.0.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Listens where the configuration says.
pub async fn listen(address: &Listen) -> Result<Listening, EnclaveError> {
    match address {
        Listen::Unix(path) => unix(path).await,
        Listen::Vsock { port } => VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, *port))
            .map(Listening::Vsock)
            .map_err(|source| EnclaveError::Listen {
                path: address.to_string().into(),
                source,
            }),
    }
}

/// Listens at `path`. A socket that a dead process has left there is removed; a live one and
/// anything else is not.
async fn unix(path: &Path) -> Result<Listening, EnclaveError> {
    let failed = |source: io::Error| EnclaveError::Listen {
        path: path.into(),
        source,
    };
    check_directory(path)?;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(EnclaveError::ListenTaken { path: path.into() });
        }
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(failed)?;
            }
            _ => return Err(EnclaveError::ListenTaken { path: path.into() }),
        },
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let listening = Listening::Unix(listener, path.into());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listening)
}

fn check_directory(path: &Path) -> Result<(), EnclaveError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let metadata = std::fs::metadata(directory).map_err(|source| EnclaveError::Listen {
        path: path.into(),
        source,
    })?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if own && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(EnclaveError::ListenDirectory {
        path: directory.into(),
        got: format!(
            "mode {:o}, user {}",
            metadata.mode() & 0o7777,
            metadata.uid()
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;
    use std::fs;

    async fn code(path: &Path) -> Option<&'static str> {
        unix(path).await.err().map(|error| error.code())
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let dead = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(dead);
        let live = unix(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(code(&path).await, Some("DB-ENC-009"));
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn files_are_left_alone_and_open_directories_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, b"precious").unwrap();
        assert_eq!(code(&file).await, Some("DB-ENC-009"));
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert_eq!(code(&dir.path().join("no/s")).await, Some("DB-ENC-007"));
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(code(&open.join("s")).await, Some("DB-ENC-008"));
    }
}
