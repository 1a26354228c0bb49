//! Where collateral comes from, and how long to wait for it.

use crate::cache::CacheLimits;
use crate::client::Patience;
use crate::error::CollateralError;
use crate::origin::Origin;

/// AMD's Key Distribution Service.
const AMD_KDS: &str = "https://kdsintf.amd.com";
/// Intel's Provisioning Certification Service.
const INTEL_PCS: &str = "https://api.trustedservices.intel.com";
/// Where Intel's root publishes what it has revoked.
const INTEL_CERTIFICATES: &str = "https://certificates.trustedservices.intel.com";

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What is not kept is fetched.
    Online,
    /// Only what is kept or carried.
    Offline,
}

/// Who answers for Intel.
#[derive(Clone, Debug)]
pub enum IntelService {
    /// Intel itself.
    Pcs {
        /// Levels, identities, lists of platform certificates.
        api: Origin,
        /// The root's list.
        certificates: Origin,
    },
    /// A caching service of one's own or of a cloud.
    Pccs(Origin),
}

/// All that can be chosen. No other host than the ones in here is ever asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Network or none.
    pub source: Source,
    /// AMD's service, or a cache that answers like it.
    pub amd: Origin,
    /// Intel's service, or a PCCS.
    pub intel: IntelService,
    /// PEM of certificate authorities to trust besides the system's, for a PCCS with a certificate
    /// of its own. What services answer is signed by the vendors all the same.
    pub extra_authorities: Option<Vec<u8>>,
    /// Timeouts and retries.
    pub patience: Patience,
    /// How much is kept on disk.
    pub cache: CacheLimits,
}

impl Config {
    /// The vendors' own services.
    pub fn vendors() -> Result<Self, CollateralError> {
        Ok(Self {
            source: Source::Online,
            amd: AMD_KDS.parse()?,
            intel: IntelService::Pcs {
                api: INTEL_PCS.parse()?,
                certificates: INTEL_CERTIFICATES.parse()?,
            },
            extra_authorities: None,
            patience: Patience::default(),
            cache: CacheLimits::default(),
        })
    }

    /// The allow-list.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let mut all = vec![self.amd.clone()];
        match &self.intel {
            IntelService::Pcs { api, certificates } => {
                all.extend([api.clone(), certificates.clone()]);
            }
            IntelService::Pccs(origin) => all.push(origin.clone()),
        }
        all
    }
}
