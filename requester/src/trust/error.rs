//! What can be wrong with a trust file.

use std::path::PathBuf;

use duckblind_attestation::policy::PolicyError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::Digest;

use crate::files::FileError;

/// A trust file that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is none.
    #[error("no trust file at {}", .0.display())]
    Missing(PathBuf),
    /// It, or a file it names, cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML of this shape.
    #[error("the trust file does not parse: {0}")]
    Parse(String),
    /// Of a later format.
    #[error("unknown version of the trust file")]
    Version(u32),
    /// A value that is not what its key needs.
    #[error("{key} of the trust file is invalid")]
    Value {
        /// The key, with its table.
        key: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        got: String,
    },
    /// An empty list that must not be.
    #[error("the trust file names no {0}")]
    Empty(&'static str),
    /// The same thing twice.
    #[error("the trust file names the same {0} twice")]
    Twice(&'static str),
    /// A policy file is not the one that was accepted.
    #[error("the policy {} is not the accepted one", path.display())]
    PolicyDigest {
        /// Which file.
        path: PathBuf,
        /// Digest in the trust file.
        accepted: Digest,
        /// Digest of the file.
        found: Digest,
    },
    /// A policy that does not parse.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Something that only a development trust file may say.
    #[error("{0} needs `development = true`")]
    DevelopmentOnly(&'static str),
    /// Secrets need a log receipt, and there is no log yet.
    #[error("this trust file is not for development, and there is no transparency log yet")]
    NoLog,
    /// Built without the simulator.
    #[error("this build of duckblind has no simulator")]
    NoSimulator,
}

impl Coded for TrustError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "DB-REQ-010",
            Self::File(e) => e.code(),
            Self::Parse(_) => "DB-REQ-011",
            Self::Version(_) => "DB-REQ-012",
            Self::Value { .. } => "DB-REQ-013",
            Self::Empty(_) => "DB-REQ-014",
            Self::Twice(_) => "DB-REQ-015",
            Self::PolicyDigest { .. } => "DB-REQ-016",
            Self::Policy(e) => e.code(),
            Self::DevelopmentOnly(_) => "DB-REQ-017",
            Self::NoLog => "DB-REQ-018",
            Self::NoSimulator => "DB-REQ-019",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::Policy(e) => e.exit(),
            Self::Version(_) | Self::NoSimulator => Exit::Unsupported,
            Self::PolicyDigest { .. } | Self::NoLog => Exit::Rejected,
            _ => Exit::Usage,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::File(e) => e.expected(),
            Self::Policy(e) => e.expected(),
            Self::Version(_) => Some(format!("version {}", super::file::VERSION)),
            Self::Value { expected, .. } => Some((*expected).into()),
            Self::PolicyDigest { accepted, .. } => Some(format!("sha256 {accepted}")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::File(e) => e.got(),
            Self::Policy(e) => e.got(),
            Self::Version(got) => Some(format!("version {got}")),
            Self::Value { got, .. } => Some(got.clone()),
            Self::PolicyDigest { found, .. } => Some(format!("sha256 {found}")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some(
                "a trust file says whom you trust; make one with `duckblind trust init` \
                 (see `duckblind help trust`), or name one with --trust or DUCKBLIND_TRUST"
                    .into(),
            ),
            Self::File(e) => e.hint(),
            Self::Policy(e) => e.hint(),
            Self::Parse(_) | Self::Value { .. } | Self::Empty(_) | Self::Twice(_) => {
                Some("`duckblind help trust` lists every key".into())
            }
            Self::PolicyDigest { .. } => Some(
                "read what changed in the policy; if you accept it, `duckblind trust update --policy FILE`"
                    .into(),
            ),
            Self::DevelopmentOnly(_) => {
                Some("a development trust file is for test data on your own machine".into())
            }
            Self::NoLog => Some(
                "no log receipt, no secret: until the log exists, only a development trust file can run jobs"
                    .into(),
            ),
            Self::NoSimulator => {
                Some("the simulator is for development: build with `--features simulator`".into())
            }
            Self::Version(_) => Some("update duckblind".into()),
        }
    }
}
