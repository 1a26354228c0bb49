//! Producing evidence: whoever runs inside the enclave asks its platform for a report.

pub mod certificate_table;
pub mod tsm;

use std::io;
use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::key_statement::Tee;

pub use tsm::ConfigfsTsm;

#[cfg(feature = "simulator")]
pub use crate::simulator;

use crate::evidence::Endorsements;

/// A report, and what the platform gave with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvidence {
    /// As the hardware gave it.
    pub report: Vec<u8>,
    /// As far as the platform has them.
    pub endorsements: Endorsements,
    /// What firmware and kernel measured, for platforms that keep such a log (CCEL).
    pub event_log: Option<Vec<u8>>,
}

/// A platform that signs 64 bytes of ours together with what it knows of the guest.
///
/// Whoever holds one can make evidence: it never leaves the supervisor.
pub trait Attester: Send + Sync {
    /// The kind of reports that it makes.
    fn tee(&self) -> Tee;

    /// A report that carries exactly `report_data`.
    fn attest(&self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError>;
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The interface is not there.
    #[error("there is no report interface at {0}")]
    NoInterface(PathBuf),
    /// The interface belongs to a kind of platform that is not supported.
    #[error("the report interface is that of an unsupported platform")]
    Provider {
        /// What it calls itself.
        got: String,
    },
    /// Somebody else is asking, or the firmware wants to be asked again later.
    #[error("the report interface is busy")]
    Busy,
    /// The kernel's buffer is too small for what the host supplies.
    #[error("the report does not fit into the kernel's buffer")]
    TooLarge,
    /// Another failure of the system.
    #[error("{step} of the report interface failed: {source}")]
    Io {
        /// Which file.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The platform gave nothing and called that success.
    #[error("the platform gave an empty report")]
    Empty,
    /// Not the length of a report.
    #[error("the platform gave a report of the wrong length")]
    Length {
        /// Bytes of a report.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A report that answers somebody else's question.
    #[error("the platform's report carries other data than asked")]
    OtherData,
    /// Others kept changing the question between asking and reading.
    #[error("the report interface was disturbed {0} times")]
    Disturbed(u32),
    /// No quote of a TDX guest.
    #[error("the platform's answer is no quote of a TDX guest")]
    NotAQuote {
        /// What it is, as far as one can tell.
        got: String,
    },
    /// The guest is not the most privileged one of its virtual machine.
    #[error("reports can only be had for less privileged parts of this guest")]
    Privilege {
        /// The most privileged level that it may ask for.
        floor: String,
    },
    /// The certificates that came with the report do not parse.
    #[error("the platform's certificate table is malformed")]
    CertificateTable,
    /// The system gave no randomness.
    #[error(transparent)]
    Random(#[from] duckblind_protocol::ids::RandomError),
}

impl AttestError {
    /// What the kernel's error numbers mean here.
    pub(crate) fn from_io(step: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ResourceBusy
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut => Self::Busy,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Io { step, source },
        }
    }
}

impl Coded for AttestError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoInterface(_) => "DB-ATT-030",
            Self::Provider { .. } => "DB-ATT-031",
            Self::Busy => "DB-ATT-032",
            Self::TooLarge => "DB-ATT-033",
            Self::Io { .. } => "DB-ATT-034",
            Self::Empty => "DB-ATT-035",
            Self::Length { .. } => "DB-ATT-036",
            Self::OtherData => "DB-ATT-037",
            Self::Disturbed(_) => "DB-ATT-038",
            Self::CertificateTable => "DB-ATT-039",
            Self::NotAQuote { .. } => "DB-ATT-058",
            Self::Privilege { .. } => "DB-ATT-059",
            Self::Random(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoInterface(_) | Self::Provider { .. } | Self::Privilege { .. } => {
                Exit::Unsupported
            }
            Self::Busy | Self::Disturbed(_) => Exit::Busy,
            Self::OtherData => Exit::Rejected,
            _ => Exit::Internal,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Provider { .. } => {
                Some(format!("{} or {}", tsm::SNP_PROVIDER, tsm::TDX_PROVIDER))
            }
            Self::NotAQuote { .. } => Some("a TDX quote of version 4 or 5".into()),
            Self::Privilege { .. } => Some("level 0".into()),
            Self::Length { expected, .. } => Some(format!("{expected} bytes")),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Provider { got } | Self::NotAQuote { got } => Some(got.clone()),
            Self::Privilege { floor } => Some(format!("level {floor}")),
            Self::Length { got, .. } => Some(format!("{got} bytes")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoInterface(_) => {
                "run in an SEV-SNP or TDX guest with Linux 6.7 or later, modules sev-guest or tdx-guest and tsm loaded, configfs mounted"
            }
            Self::Busy | Self::Disturbed(_) => "nothing else should ask for reports; try again",
            Self::Empty => "the host's attestation service is down or misconfigured",
            Self::NotAQuote { .. } => {
                "the host's quoting service (QGS) or this guest's kernel is not one for TDX 1.0 or 1.5"
            }
            Self::Privilege { .. } => {
                "a paravisor or SVSM runs above this guest: launch it at VMPL 0"
            }
            Self::TooLarge | Self::CertificateTable => {
                "the host supplies the certificate table: load AMD's chain for this chip there"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
