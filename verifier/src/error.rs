//! What can go wrong before the verifier serves, and in its commands. What goes wrong in a
//! request is in [`crate::api::error`].

use std::path::{Path, PathBuf};

use duckblind_protocol::coded::{Coded, Exit};

/// An error of the command line, of the configuration or of the start.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that a command would make is there already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A secret file that others can read.
    #[error("{} is open to other users", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A secret file of another user's, who could change it.
    #[error("{} belongs to another user", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this program.
        user: u32,
    },
    /// A file larger than its kind may be.
    #[error("{} is too large", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The cap in bytes.
        cap: u64,
    },
    /// A secret where a file is wanted that may be shown.
    #[error("{} holds a secret key or token", .0.display())]
    Misplaced(PathBuf),
    /// The configuration does not parse.
    #[error("the configuration {} is not valid", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place.
        detail: String,
    },
    /// A key file that holds no key of the wanted kind.
    #[error("{} holds no {kind}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        kind: &'static str,
    },
    /// A policy that does not parse. The policy's own error speaks.
    #[error("the policy {} is refused: {detail}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What the policy's parser said.
        detail: String,
        /// Its hint.
        hint: Option<String>,
    },
    /// Plain HTTP on an address that others can reach.
    #[error("plain HTTP is for loopback addresses only")]
    PlainHttp(std::net::SocketAddr),
    /// Anybody could enrol, on an address that others can reach.
    #[error("enrolment would be open to everybody")]
    OpenEnrolment(std::net::SocketAddr),
    /// Certificate or key of the HTTPS listener cannot be used.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Tls(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The vendors' documents cannot be looked up.
    #[error(transparent)]
    Collateral(#[from] duckblind_collateral::CollateralError),
    /// The system gave no randomness.
    #[error(transparent)]
    Random(#[from] duckblind_protocol::ids::RandomError),
    /// Logging cannot be set up.
    #[error("the log filter is not valid: {0}")]
    LogFilter(String),
    /// The runtime failed.
    #[error("the runtime failed: {0}")]
    Runtime(String),
}

impl VerifierError {
    /// For `map_err` on reads of `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` on writes of `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Write { path, source }
    }
}

impl Coded for VerifierError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "DB-VER-001",
            Self::Write { .. } => "DB-VER-002",
            Self::Exists(_) => "DB-VER-003",
            Self::Permissions { .. } => "DB-VER-004",
            Self::TooLarge { .. } => "DB-VER-005",
            Self::Config { .. } => "DB-VER-006",
            Self::Key { .. } => "DB-VER-007",
            Self::Policy { .. } => "DB-VER-008",
            Self::PlainHttp(_) => "DB-VER-009",
            Self::OpenEnrolment(_) => "DB-VER-010",
            Self::Tls(_) => "DB-VER-011",
            Self::Listen { .. } => "DB-VER-012",
            Self::Store(error) => error.code(),
            Self::Collateral(error) => error.code(),
            Self::Random(error) => error.code(),
            Self::LogFilter(_) => "DB-VER-016",
            Self::Runtime(_) => "DB-VER-017",
            Self::Misplaced(_) => "DB-VER-018",
            Self::Owner { .. } => "DB-VER-019",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            Self::Collateral(error) => error.exit(),
            Self::Random(_) | Self::Runtime(_) => Exit::Internal,
            _ => Exit::Usage,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Permissions { .. } => Some("mode 0600".into()),
            Self::Owner { user, .. } => Some(format!("user {user}")),
            Self::TooLarge { cap, .. } => Some(format!("at most {cap} bytes")),
            Self::Key { kind, .. } => Some(format!("one line, {kind}")),
            Self::Collateral(error) => error.expected(),
            Self::PlainHttp(_) => Some("a loopback address, or a [tls] section".into()),
            Self::OpenEnrolment(_) => {
                Some("an operator token file or a list of allowed node ids".into())
            }
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Permissions { mode, .. } => Some(format!("mode {mode:04o}")),
            Self::Owner { owner, .. } => Some(format!("user {owner}")),
            Self::Config { detail, .. } => Some(detail.clone()),
            Self::Collateral(error) => error.got(),
            Self::PlainHttp(address) | Self::OpenEnrolment(address) => Some(address.to_string()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "check the path and who may read it".into(),
            Self::Write { .. } => "check that the directory is there and writable".into(),
            Self::Exists(_) => {
                "nothing is overwritten; name another place or move the file away".into()
            }
            Self::Permissions { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Owner { path, user, .. } => format!("chown {user} {}", path.display()),
            Self::Misplaced(_) => "name the file that belongs here, such as ear.pub".into(),
            Self::Config { .. } => "duckblind-verifier config check --config FILE".into(),
            Self::Key { .. } => "duckblind-verifier keys new --out DIR".into(),
            Self::Policy { hint, .. } => return hint.clone(),
            Self::PlainHttp(_) => "duckblind-verifier tls new --out DIR --name HOST makes a \
                                   certificate; name it under [tls]"
                .into(),
            Self::OpenEnrolment(_) => "duckblind-verifier token new --out FILE, then \
                                       `token_file` under [enrol]"
                .into(),
            Self::Tls(_) => "PEM files; the certificate's own chain first, key unencrypted".into(),
            Self::Listen { .. } => "another process may hold the address".into(),
            Self::LogFilter(_) => "such as `info` or `duckblind_verifier=debug`".into(),
            Self::Store(error) => return error.hint(),
            Self::Collateral(error) => return error.hint(),
            Self::TooLarge { .. } | Self::Random(_) | Self::Runtime(_) => return None,
        })
    }
}
