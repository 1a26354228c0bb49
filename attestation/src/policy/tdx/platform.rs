//! What Intel may say of a platform, and which platforms a policy takes.

use dcap_qvl::TcbStatus;

use super::super::read::Section;
use super::super::{Allowed, NonEmpty, PolicyError};
use super::LIST_ONE;

/// What Intel may say of security versions.
#[derive(Clone, Debug)]
pub(crate) struct TcbPolicy {
    pub(crate) statuses: NonEmpty<TcbStatus>,
    pub(crate) accepted_advisories: Vec<String>,
    pub(crate) denied_advisories: Vec<String>,
    pub(crate) min_evaluation: u32,
    /// Days that an out-of-date platform is taken after the date of its security versions.
    pub(crate) platform_grace_days: u32,
    /// As much for the quoting enclave.
    pub(crate) qe_grace_days: u32,
}

/// Which platforms are taken.
#[derive(Clone, Debug)]
pub(crate) struct PlatformPolicy {
    pub(crate) allow_smt: bool,
    pub(crate) allow_dynamic: bool,
    pub(crate) allow_cached_keys: bool,
    pub(crate) memory: NonEmpty<MemoryProtection>,
    /// Instance or provisioning ids.
    pub(crate) ids: Allowed<[u8; 16]>,
    pub(crate) denied_ids: Vec<[u8; 16]>,
    pub(crate) fmspcs: Allowed<[u8; 6]>,
    pub(crate) denied_fmspcs: Vec<[u8; 6]>,
}

/// How a platform protects its memory: the SGX type in its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryProtection {
    /// A small region, encrypted, with integrity and replay protection.
    Standard,
    /// All of it, encrypted.
    Scalable,
    /// All of it, encrypted and with integrity.
    ScalableWithIntegrity,
}

impl MemoryProtection {
    pub(crate) const ALL: &'static [Self] =
        &[Self::Standard, Self::Scalable, Self::ScalableWithIntegrity];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Scalable => "scalable",
            Self::ScalableWithIntegrity => "scalable-with-integrity",
        }
    }

    /// As certificates number it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::Scalable => 1,
            Self::ScalableWithIntegrity => 2,
        }
    }
}

/// Statuses that a policy may list. `Revoked` is none of them.
const STATUSES: &[TcbStatus] = &[
    TcbStatus::UpToDate,
    TcbStatus::SWHardeningNeeded,
    TcbStatus::ConfigurationNeeded,
    TcbStatus::ConfigurationAndSWHardeningNeeded,
    TcbStatus::OutOfDate,
    TcbStatus::OutOfDateConfigurationNeeded,
    TcbStatus::TDRelaunchAdvised,
    TcbStatus::TDRelaunchAdvisedConfigurationNeeded,
];

const fn status_name(status: TcbStatus) -> &'static str {
    match status {
        TcbStatus::UpToDate => "UpToDate",
        TcbStatus::SWHardeningNeeded => "SWHardeningNeeded",
        TcbStatus::ConfigurationNeeded => "ConfigurationNeeded",
        TcbStatus::ConfigurationAndSWHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
        TcbStatus::OutOfDate => "OutOfDate",
        TcbStatus::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
        TcbStatus::TDRelaunchAdvised => "TDRelaunchAdvised",
        TcbStatus::TDRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
        TcbStatus::Revoked => "Revoked",
    }
}

pub(super) fn tcb(tdx: &mut Section) -> Result<TcbPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "statuses",
        "accepted_advisories",
        "denied_advisories",
        "min_evaluation",
        "platform_grace_days",
        "qe_grace_days",
    ];
    let mut tcb = tdx.section("tcb", KEYS)?;
    let statuses = tcb.names("statuses", STATUSES, status_name)?;
    let expected = "such as \"INTEL-SA-00837\"";
    let advisory = |text: &str| text.starts_with("INTEL-SA-").then(|| text.to_owned());
    Ok(TcbPolicy {
        statuses: tcb.non_empty("statuses", statuses, LIST_ONE)?,
        accepted_advisories: tcb.list("accepted_advisories", expected, advisory)?,
        denied_advisories: tcb.list("denied_advisories", expected, advisory)?,
        min_evaluation: tcb.number("min_evaluation")?,
        platform_grace_days: tcb.number("platform_grace_days")?,
        qe_grace_days: tcb.number("qe_grace_days")?,
    })
}

pub(super) fn platform(tdx: &mut Section) -> Result<PlatformPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "allow_smt",
        "allow_dynamic",
        "allow_cached_keys",
        "memory",
        "ids",
        "denied_ids",
        "fmspcs",
        "denied_fmspcs",
    ];
    const ID: &str = "32 hex digits";
    const FMSPC: &str = "12 hex digits";
    let mut platform = tdx.section("platform", KEYS)?;
    let memory = platform.names("memory", MemoryProtection::ALL, MemoryProtection::name)?;
    Ok(PlatformPolicy {
        allow_smt: platform.flag("allow_smt")?,
        allow_dynamic: platform.flag("allow_dynamic")?,
        allow_cached_keys: platform.flag("allow_cached_keys")?,
        memory: platform.non_empty("memory", memory, LIST_ONE)?,
        ids: platform.allowed("ids", ID, hex_array)?,
        denied_ids: platform.list("denied_ids", ID, hex_array)?,
        fmspcs: platform.allowed("fmspcs", FMSPC, hex_array)?,
        denied_fmspcs: platform.list("denied_fmspcs", FMSPC, hex_array)?,
    })
}

/// Bytes in hex.
fn hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
