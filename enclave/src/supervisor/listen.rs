//! The unix socket that the host connects to: in a directory that nobody else can write to.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::EnclaveError;

/// A listening socket; its file is removed when this is dropped.
pub struct Listening {
    /// Accepts connections.
    pub listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens at `path`. A socket that a dead process has left there is removed; a live one and
/// anything else is not.
pub async fn listen(path: &Path) -> Result<Listening, EnclaveError> {
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
    let listening = Listening {
        listener,
        path: path.into(),
    };
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
        listen(path).await.err().map(|error| error.code())
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let dead = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(dead);
        let live = listen(&path).await.unwrap();
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
