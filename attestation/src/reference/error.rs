//! Why a reference value cannot be computed.

use std::io;
use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};

use super::direct_boot::MAX_COMMAND_LINE;
use super::golden_quote::MAX_QUOTE;
use super::snp::{MAX_ROWS, MAX_VCPUS};
use crate::measurement::Measurement;

/// Inputs that give no reference value. Nothing of their contents is in the texts but numbers and
/// names from the command line.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// Missing or unreadable.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a device, a pipe, or a file without contents or with too much of it.
    #[error("{} cannot be measured", path.display())]
    Size {
        /// Which file.
        path: PathBuf,
        /// Bytes allowed.
        cap: u64,
        /// Bytes that there are; nothing if it is no regular file.
        len: Option<u64>,
    },
    /// A firmware image that is not what SEV-SNP needs.
    #[error("the firmware image has {0}")]
    Firmware(&'static str),
    /// A firmware image that does not measure what QEMU loads besides it.
    #[error("the firmware image has no place for the hashes of kernel and initial RAM disk")]
    NoKernelHashes,
    /// A kernel command line that two programs would read differently.
    #[error("the kernel command line {0}")]
    CommandLine(&'static str),
    /// No number of vCPUs that a guest can have.
    #[error("a guest cannot have {0} vCPUs")]
    Vcpus(u32),
    /// Not a CPU type.
    #[error("{0:?} is not a CPU type of QEMU")]
    CpuType(String),
    /// Guest features of a guest that is not SEV-SNP.
    #[error("guest features {0:#x} do not belong to an SEV-SNP guest")]
    GuestFeatures(u64),
    /// Nothing to compute, or too much.
    #[error("a table of {0} values")]
    Rows(usize),
    /// The crate `sev` gave up.
    #[error("the launch digest cannot be computed: {0}")]
    Sev(String),
    /// Not a kernel as UEFI loads it.
    #[error("the kernel is no PE image as UEFI loads it: {0}")]
    Kernel(&'static str),
    /// A kernel whose header QEMU does not fill in as computed here.
    #[error("the kernel's setup header cannot be filled in: {0}")]
    KernelHeader(&'static str),
    /// An initial RAM disk that does not fit into the guest's memory.
    #[error("the initial RAM disk does not fit into {memory} bytes of memory")]
    Memory {
        /// Bytes that the guest was said to have.
        memory: u64,
    },
    /// Not a quote of a TDX guest.
    #[error("not a quote of a TDX guest: {0}")]
    Quote(&'static str),
    /// A register that is zero: taking it into a policy would accept any guest.
    #[error("nothing was measured into {0}")]
    NothingMeasured(&'static str),
    /// The quoted guest was launched from something else than these inputs.
    #[error("{register} of the quote is not that of the inputs")]
    Differs {
        /// Which register.
        register: &'static str,
        /// Computed from the inputs.
        computed: Measurement,
        /// Read from the quote.
        quoted: Measurement,
    },
    /// A line of a runtime log that is no digest.
    #[error("line {0} of the runtime log is not 96 hex digits")]
    RuntimeLog(usize),
}

impl Coded for ReferenceError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "DB-ATT-100",
            Self::Size { .. } => "DB-ATT-101",
            Self::Firmware(_) => "DB-ATT-102",
            Self::NoKernelHashes => "DB-ATT-103",
            Self::CommandLine(_) => "DB-ATT-104",
            Self::Vcpus(_) => "DB-ATT-105",
            Self::CpuType(_) => "DB-ATT-106",
            Self::GuestFeatures(_) => "DB-ATT-107",
            Self::Rows(_) => "DB-ATT-108",
            Self::Sev(_) => "DB-ATT-109",
            Self::Kernel(_) => "DB-ATT-110",
            Self::KernelHeader(_) => "DB-ATT-111",
            Self::Memory { .. } => "DB-ATT-112",
            Self::Quote(_) => "DB-ATT-113",
            Self::NothingMeasured(_) => "DB-ATT-114",
            Self::Differs { .. } => "DB-ATT-115",
            Self::RuntimeLog(_) => "DB-ATT-116",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Firmware(_)
            | Self::Kernel(_)
            | Self::KernelHeader(_)
            | Self::Quote(_)
            | Self::RuntimeLog(_) => Exit::Malformed,
            Self::NothingMeasured(_) | Self::Differs { .. } => Exit::Rejected,
            Self::Sev(_) => Exit::Internal,
            _ => Exit::Usage,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Size { cap, .. } => Some(format!("a regular file of 1 to {cap} bytes")),
            Self::CommandLine(_) => Some(format!(
                "up to {MAX_COMMAND_LINE} printable ASCII characters, no space at either end"
            )),
            Self::Vcpus(_) => Some(format!("1 to {MAX_VCPUS}")),
            Self::CpuType(_) => Some("such as EPYC-v4, EPYC-Milan, EPYC-Genoa, EPYC-Turin".into()),
            Self::GuestFeatures(_) => Some("bit 0 (SNPActive) set".into()),
            Self::Rows(_) => Some(format!("1 to {MAX_ROWS}")),
            Self::Quote(_) => Some(format!(
                "a raw quote of version 4 or 5, at most {MAX_QUOTE} bytes"
            )),
            Self::Differs { computed, .. } => Some(computed.to_string()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Size { len: Some(len), .. } => Some(format!("{len} bytes")),
            Self::Differs { quoted, .. } => Some(quoted.to_string()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Firmware(_) => {
                "give the whole firmware image, built with SEV-SNP support; IGVM files are not covered"
            }
            Self::NoKernelHashes => {
                "use an image built for measured direct boot (AmdSev), or leave kernel, initrd and append away"
            }
            Self::NothingMeasured(_) => {
                "launch the guest with firmware that measures its boot; a paravisor's quote is no reference"
            }
            Self::Differs { .. } => {
                "the rules differ between versions of QEMU and firmware: see docs/reference-values.md"
            }
            Self::KernelHeader(_) => "QEMU 10.2 and later leave the header as it was built",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
