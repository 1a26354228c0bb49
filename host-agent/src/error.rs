//! What can go wrong in the host agent, coded `DB-HST-0xx`.
//!
//! No text here carries a payload: the agent never holds one that it could read.

use std::io;
use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the operator's cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Unreadable {
        /// Which file it is: "the configuration", "the verifier's CA".
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration does not parse.
    #[error("the configuration {} does not parse: {detail}", path.display())]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        detail: String,
    },
    /// A value in the configuration cannot be right.
    #[error("configuration key {key} is refused: {reason}")]
    ConfigValue {
        /// The key as written, with its table.
        key: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// A file should hold one value in a known form, and does not.
    #[error("{what} {} is malformed", path.display())]
    FileMalformed {
        /// Which file it is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The form it should have.
        expected: &'static str,
    },
    /// A key file that others can read.
    #[error("key file {} can be read by others", path.display())]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file of another user's, who could change it.
    #[error("key file {} belongs to another user", path.display())]
    KeyOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this program.
        user: u32,
    },
    /// A file could not be written, or exists already.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error(transparent)]
    Random(#[from] duckblind_protocol::ids::RandomError),
    /// A socket could not be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate or TLS configuration could not be made.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The enclave's socket does not answer.
    #[error("the enclave at {address} cannot be reached: {source}")]
    EnclaveDown {
        /// The address in the configuration.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The enclave said something out of turn.
    #[error("the enclave broke the protocol: {0}")]
    EnclaveProtocol(String),
    /// The verifier does not answer.
    #[error("the verifier cannot be reached: {0}")]
    VerifierDown(String),
    /// The verifier answered with an error.
    #[error("the verifier refused {method} {path}: {status} {code}: {message}")]
    VerifierRefused {
        /// The request's method.
        method: &'static str,
        /// The request's path.
        path: String,
        /// HTTP status.
        status: u16,
        /// The verifier's stable code, or empty.
        code: String,
        /// The verifier's words.
        message: String,
    },
    /// The verifier's answer does not parse.
    #[error("the verifier's answer is malformed: {0}")]
    VerifierMalformed(String),
    /// The verifier judged the evidence and does not accept it.
    #[error("the verifier does not accept this enclave's evidence: {0}")]
    NotAffirmed(String),
    /// The system refused something that it should not.
    #[error("the system failed: {source}")]
    System {
        /// What it said.
        source: io::Error,
    },
    /// At least one finding of `doctor` is a failure.
    #[error("{0} of the checks failed")]
    Doctor(usize),
}

impl Coded for HostError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "DB-HST-001",
            Self::ConfigSyntax { .. } => "DB-HST-002",
            Self::ConfigValue { .. } => "DB-HST-003",
            Self::FileMalformed { .. } => "DB-HST-010",
            Self::KeyMode { .. } => "DB-HST-011",
            Self::Unwritable { .. } => "DB-HST-012",
            Self::KeyOwner { .. } => "DB-HST-013",
            Self::Random(inner) => inner.code(),
            Self::Listen { .. } => "DB-HST-020",
            Self::Tls(_) => "DB-HST-021",
            Self::EnclaveDown { .. } => "DB-HST-030",
            Self::EnclaveProtocol(_) => "DB-HST-031",
            Self::VerifierDown(_) => "DB-HST-040",
            Self::VerifierRefused { .. } => "DB-HST-041",
            Self::VerifierMalformed(_) => "DB-HST-042",
            Self::NotAffirmed(_) => "DB-HST-043",
            Self::System { .. } => "DB-HST-050",
            Self::Doctor(_) => "DB-HST-060",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. }
            | Self::ConfigSyntax { .. }
            | Self::ConfigValue { .. }
            | Self::KeyMode { .. }
            | Self::KeyOwner { .. }
            | Self::Unwritable { .. } => Exit::Usage,
            Self::FileMalformed { .. } | Self::VerifierMalformed(_) | Self::EnclaveProtocol(_) => {
                Exit::Malformed
            }
            Self::Random(inner) => inner.exit(),
            Self::Listen { .. } | Self::Tls(_) | Self::System { .. } | Self::Doctor(_) => {
                Exit::Internal
            }
            Self::EnclaveDown { .. } | Self::VerifierDown(_) => Exit::Unreachable,
            Self::VerifierRefused { .. } | Self::NotAffirmed(_) => Exit::Rejected,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::FileMalformed { expected, .. } => Some((*expected).to_owned()),
            Self::KeyMode { .. } => Some("mode 0600, or fewer bits".to_owned()),
            Self::KeyOwner { user, .. } => Some(format!("user {user}")),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::KeyMode { mode, .. } => Some(format!("mode {mode:04o}")),
            Self::KeyOwner { owner, .. } => Some(format!("user {owner}")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::KeyMode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::KeyOwner { path, user, .. } => format!("chown {user} {}", path.display()),
            Self::Unreadable { what, .. } if *what == "the node key" => {
                "duckblind-host keys new --out DIR makes one".to_owned()
            }
            Self::Unreadable { what, .. } if *what == "the configuration" => {
                "name the file with --config; host.example.toml shows what belongs into one"
                    .to_owned()
            }
            Self::Doctor(_) => "each line marked FAIL says what to correct".to_owned(),
            Self::ConfigSyntax { .. } | Self::ConfigValue { .. } => {
                "duckblind-host config check --config FILE prints what is understood".to_owned()
            }
            Self::Unwritable { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "an existing key is never overwritten: move it away first".to_owned()
            }
            Self::EnclaveDown { .. } => {
                "is duckblind-enclave running, and does its `listen` equal this `enclave`?"
                    .to_owned()
            }
            Self::VerifierDown(_) => {
                "is duckblind-verifier running at `verifier`, and is `verifier_ca` its authority?"
                    .to_owned()
            }
            Self::VerifierRefused {
                status: 401 | 403, ..
            } => "the verifier's operator must allow this node id, or give a token \
                 (`enrol_token_file`)"
                .to_owned(),
            Self::NotAffirmed(_) => {
                "the reasons name the checks: compare enclave binary, configuration and policy"
                    .to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}
