//! What keeps an enclave from starting or going on. What keeps a job from running is a
//! `protocol::job_code::JobCode`.

use std::io;
use std::path::PathBuf;

use duckblind_attestation::config::Wall;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, RandomError};

/// Every error of this crate's binary.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration {path}: {source}", path = path.display())]
    ConfigRead {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration file does not parse; unknown keys are among the reasons.
    #[error("the configuration does not parse: {0}")]
    ConfigParse(String),
    /// A value that makes no sense.
    #[error("{field} in the configuration is out of range")]
    ConfigValue {
        /// Its name in the file.
        field: &'static str,
        /// What would be right.
        expected: String,
        /// What is there.
        got: String,
    },
    /// The machine has no trusted execution environment and no simulator is configured.
    #[error("this machine has no trusted execution environment")]
    NoTee(#[source] duckblind_attestation::attester::AttestError),
    /// A simulator is configured, but this binary has none.
    #[error("this binary has no simulator")]
    NoSimulator,
    /// The listening socket cannot be made.
    #[error("cannot listen on {path}: {source}", path = path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could replace the socket.
    #[error("the directory of the socket, {path}, is not safe", path = path.display())]
    ListenDirectory {
        /// The directory.
        path: PathBuf,
        /// What it has.
        got: String,
    },
    /// Somebody listens there already, or what lies there is no socket.
    #[error("{path} is taken", path = path.display())]
    ListenTaken {
        /// Where.
        path: PathBuf,
    },
    /// The release manifest cannot be read.
    #[error("cannot read the release manifest {path}: {source}", path = path.display())]
    ReleaseRead {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The release manifest does not parse.
    #[error(transparent)]
    Release(#[from] duckblind_attestation::release::ReleaseError),
    /// The release manifest is of another binary.
    #[error("the release manifest is not of this binary")]
    ReleaseMismatch {
        /// What it says.
        manifest: Digest,
        /// What runs.
        binary: Digest,
    },
    /// A wall that every job needs cannot be raised here.
    #[error("the wall {0} is not up")]
    WallMissing(Wall, String),
    /// A query process cannot be started.
    #[error("cannot start a query process: {0}")]
    Spawn(#[source] io::Error),
    /// A query process did not get ready.
    #[error("a query process does not get ready: {0}")]
    Standby(String),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The platform, real or simulated, gives no reports.
    #[error("{0}")]
    Attest(Box<dyn Coded + Send + Sync>),
    /// The storage directory cannot be opened.
    #[error("cannot open the storage directory {path}: {source}", path = path.display())]
    Storage {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of ours cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Started by hand what only the supervisor starts.
    #[error("the query role is started by the supervisor only")]
    NotByHand,
    /// The system refuses something that never fails on a sound machine.
    #[error("system: {0}")]
    System(#[from] io::Error),
}

impl Coded for EnclaveError {
    fn code(&self) -> &'static str {
        match self {
            Self::ConfigRead { .. } => "DB-ENC-001",
            Self::ConfigParse(_) => "DB-ENC-002",
            Self::ConfigValue { .. } => "DB-ENC-003",
            Self::NoTee(_) => "DB-ENC-004",
            Self::NoSimulator => "DB-ENC-005",
            Self::Listen { .. } => "DB-ENC-007",
            Self::ListenDirectory { .. } => "DB-ENC-008",
            Self::ListenTaken { .. } => "DB-ENC-009",
            Self::ReleaseRead { .. } => "DB-ENC-010",
            Self::Release(error) => error.code(),
            Self::ReleaseMismatch { .. } => "DB-ENC-011",
            Self::WallMissing(..) => "DB-ENC-012",
            Self::Spawn(_) => "DB-ENC-013",
            Self::Standby(_) => "DB-ENC-014",
            Self::Random(error) => error.code(),
            Self::Attest(error) => error.code(),
            Self::Storage { .. } => "DB-ENC-015",
            Self::Write { .. } => "DB-ENC-016",
            Self::NotByHand => "DB-ENC-017",
            Self::System(_) => "DB-ENC-018",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::ConfigRead { .. }
            | Self::ConfigParse(_)
            | Self::ConfigValue { .. }
            | Self::Listen { .. }
            | Self::ListenDirectory { .. }
            | Self::ListenTaken { .. }
            | Self::ReleaseRead { .. }
            | Self::Storage { .. }
            | Self::Write { .. }
            | Self::NotByHand => Exit::Usage,
            Self::NoTee(_) | Self::NoSimulator | Self::WallMissing(..) => Exit::Unsupported,
            Self::ReleaseMismatch { .. } => Exit::Rejected,
            Self::Release(error) => error.exit(),
            Self::Attest(error) => error.exit(),
            Self::Spawn(_) | Self::Standby(_) | Self::Random(_) | Self::System(_) => Exit::Internal,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::ConfigValue { expected, .. } => Some(expected.clone()),
            Self::ListenDirectory { .. } => {
                Some("a directory of this user that nobody else can write to".into())
            }
            Self::ReleaseMismatch { manifest, .. } => Some(format!("a binary {manifest}")),
            Self::WallMissing(wall, _) => Some(format!("{wall}")),
            Self::Release(error) => error.expected(),
            Self::Attest(error) => error.expected(),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::ConfigValue { got, .. }
            | Self::ListenDirectory { got, .. }
            | Self::WallMissing(_, got) => Some(got.clone()),
            Self::ReleaseMismatch { binary, .. } => Some(format!("a binary {binary}")),
            Self::NoTee(source) => Some(source.to_string()),
            Self::Release(error) => error.got(),
            Self::Attest(error) => error.got(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ConfigRead { .. } => "name the file with --config",
            Self::ConfigParse(_) => "`duckblind-enclave config check --config FILE` tests a file",
            Self::NoTee(_) => {
                "run on an AMD SEV-SNP or Intel TDX machine with configfs-tsm (Linux 6.7 or \
                 later), or, for development, with a binary built with --features simulator and \
                 [simulator] in the configuration"
            }
            Self::NoSimulator => {
                "remove [simulator] from the configuration, or build with --features simulator"
            }
            Self::ListenDirectory { .. } => "mkdir -m 700 a directory for the socket alone",
            Self::ListenTaken { .. } => "stop the other enclave, or listen elsewhere",
            Self::ReleaseMismatch { .. } => {
                "write the manifest anew after every build: scripts/release-manifest"
            }
            Self::WallMissing(..) => {
                "this kernel or sandbox does not allow what a job's process needs"
            }
            Self::Storage { .. } => "make the directory, or correct root in [storage]",
            Self::NotByHand => "`duckblind-enclave run` starts an enclave",
            Self::Release(error) => return error.hint(),
            Self::Attest(error) => return error.hint(),
            _ => return None,
        };
        Some(text.into())
    }
}
