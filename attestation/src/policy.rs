//! Appraisal policies: typed TOML, deny by default, every key mandatory, unknown keys refused.
//!
//! A policy is named by the SHA-256 of its file, comments included: whoever pins a policy pins the
//! text that people read.

mod error;
#[cfg(feature = "simulator")]
mod fill;
mod non_empty;
mod read;
mod sections;
mod snp;
mod suggest;
mod tdx;

use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_statement::{Suite, Tee};

pub use error::PolicyError;
#[cfg(feature = "simulator")]
pub use fill::fill_development;
pub use non_empty::NonEmpty;
pub(crate) use snp::{Root, SnpPolicy};
pub(crate) use tdx::{
    ConfigId, GuestPolicy, INTEL_ROOT, LoggedEvent, MemoryProtection, PlatformPolicy, Register,
    TcbPolicy, TdxImage, TdxPolicy, TdxRoot,
};

use crate::config::{Backend, Clock, ConfigLimits, Provider, Timeouts, Wall};
use crate::measurement::Measurement;

/// Bytes that a policy file may have.
pub const MAX_POLICY: usize = 256 * 1024;
/// The one version of the format.
pub const VERSION: i64 = 2;

/// What an appraisal accepts. Only [`Policy::parse`] makes one.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) id: Digest,
    pub(crate) name: String,
    pub(crate) development: bool,
    pub(crate) tees: NonEmpty<Tee>,
    pub(crate) suites: NonEmpty<Suite>,
    pub(crate) releases: NonEmpty<Digest>,
    /// There if `tees` has it.
    pub(crate) snp: Option<SnpPolicy>,
    /// There if `tees` has it.
    pub(crate) tdx: Option<TdxPolicy>,
    pub(crate) config: ConfigPolicy,
}

/// Who may be listed as a requester.
#[derive(Clone, Debug)]
pub(crate) enum RequesterPolicy {
    /// An enclave that serves anyone, or any list.
    Any,
    /// An enclave that serves only these, or some of them.
    Among(NonEmpty<PublicKey>),
}

/// What an enclave's configuration may say, field by field.
#[derive(Clone, Debug)]
pub(crate) struct ConfigPolicy {
    /// Must all be up.
    pub(crate) walls: NonEmpty<Wall>,
    pub(crate) backends: NonEmpty<Backend>,
    pub(crate) engines: NonEmpty<String>,
    /// Nothing else may be dialled.
    pub(crate) egress: Vec<String>,
    pub(crate) clocks: NonEmpty<Clock>,
    pub(crate) clock_sources: NonEmpty<String>,
    pub(crate) providers: NonEmpty<Provider>,
    pub(crate) requesters: RequesterPolicy,
    /// Upper bounds.
    pub(crate) limits: ConfigLimits,
    /// Upper bounds.
    pub(crate) timeouts: Timeouts,
    /// Upper bound of encrypted spill, bytes; 0 allows none.
    pub(crate) max_spill_bytes: u64,
}

impl Policy {
    /// From the text of a policy file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY {
            return Err(PolicyError::TooLong { len: text.len() });
        }
        let table: toml::Table = text
            .parse()
            .map_err(|e: toml::de::Error| PolicyError::Syntax(e.to_string().trim_end().into()))?;
        sections::policy(Digest::of(text.as_bytes()), table)
    }

    /// SHA-256 of the file.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The name that the file gives itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is meant for development: only such policies may accept simulated platforms.
    pub const fn is_development(&self) -> bool {
        self.development
    }

    /// The accepted launch measurements: SNP launch digests, then MRTDs.
    pub fn measurements(&self) -> Vec<Measurement> {
        let snp = self.snp.iter().flat_map(|snp| snp.measurements.iter());
        let tdx = self.tdx.iter().flat_map(|tdx| tdx.images.iter());
        snp.copied().chain(tdx.map(|image| image.mrtd)).collect()
    }

    /// The accepted releases.
    pub fn releases(&self) -> &[Digest] {
        self.releases.as_slice()
    }

    /// The digests of the root certificates that it trusts in this build.
    pub fn roots(&self) -> Vec<Digest> {
        let snp = self.snp.iter().flat_map(|snp| snp.roots.iter());
        let tdx = self.tdx.iter().flat_map(|tdx| tdx.roots.iter());
        snp.map(|root| root.digest())
            .chain(tdx.map(|root| root.digest()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
