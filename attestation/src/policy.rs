//! Appraisal policies: typed TOML, deny by default, every key mandatory, unknown keys refused.
//!
//! A policy is named by the SHA-256 of its file, comments included: whoever pins a policy pins the
//! text that people read.

mod allowed;
mod diff;
mod draft;
mod error;
mod explain;
#[cfg(feature = "simulator")]
mod fill;
mod keys;
mod lint;
mod non_empty;
mod read;
mod sections;
mod snp;
mod suggest;
mod tdx;

use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_statement::{Suite, Tee};

pub(crate) use allowed::Allowed;
pub use diff::{Difference, Effect, diff};
pub use draft::{Draft, problems};
pub use error::PolicyError;
pub use explain::{ExplainedKey, ExplainedSection, explain};
#[cfg(feature = "simulator")]
pub use fill::fill_development;
pub use lint::{Lint, Remark, lint};
pub use non_empty::NonEmpty;
pub(crate) use snp::{Floor, GuestBits, GuestIdentity, Root, SnpPolicy};
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
    pub(crate) text: String,
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
    /// Who may be served.
    pub(crate) requesters: Allowed<PublicKey>,
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
        sections::policy(text, table(text)?)
    }

    /// SHA-256 of the file.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The file.
    pub fn text(&self) -> &str {
        &self.text
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
        let snp = self
            .snp
            .iter()
            .flat_map(|snp| snp.identity.measurements.as_slice());
        let tdx = self.tdx.iter().flat_map(|tdx| tdx.images.as_slice());
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

fn table(text: &str) -> Result<toml::Table, PolicyError> {
    text.parse()
        .map_err(|e: toml::de::Error| PolicyError::Syntax(e.to_string().trim_end().into()))
}

#[cfg(test)]
mod tests;
