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
mod suggest;

use std::collections::BTreeMap;

use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_statement::{Suite, Tee};

pub use error::PolicyError;
#[cfg(feature = "simulator")]
pub use fill::fill_development;
pub use non_empty::NonEmpty;

use crate::config::{Backend, Clock, ConfigLimits, Provider, Timeouts, Wall};
use crate::measurement::Measurement;
use crate::snp::{Generation, Tcb};

/// Bytes that a policy file may have.
pub const MAX_POLICY: usize = 256 * 1024;
/// The one version of the format.
pub const VERSION: i64 = 1;

/// What an appraisal accepts. Only [`Policy::parse`] makes one.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) id: Digest,
    pub(crate) name: String,
    pub(crate) development: bool,
    pub(crate) tees: NonEmpty<Tee>,
    pub(crate) suites: NonEmpty<Suite>,
    pub(crate) measurements: NonEmpty<Measurement>,
    pub(crate) releases: NonEmpty<Digest>,
    pub(crate) snp: SnpPolicy,
    pub(crate) config: ConfigPolicy,
}

/// A root certificate that chains may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// AMD's own of this generation.
    Amd(Generation),
    /// Of a simulated platform.
    #[cfg(feature = "simulator")]
    Simulated(Digest),
}

impl Root {
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Amd(generation) => generation.root(),
            #[cfg(feature = "simulator")]
            Self::Simulated(digest) => digest,
        }
    }

    /// Whether chips of `generation` may descend from it; a simulated root takes any.
    pub(crate) fn is_of(self, generation: Generation) -> bool {
        match self {
            Self::Amd(own) => own == generation,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => true,
        }
    }

    pub(crate) const fn is_sim(self) -> bool {
        match self {
            Self::Amd(_) => false,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => true,
        }
    }
}

/// What an SEV-SNP report may say.
#[derive(Clone, Debug)]
pub(crate) struct SnpPolicy {
    /// Roots of chains. Empty only if the file lists nothing but roots that this build has no use
    /// for: then every chain is refused.
    pub(crate) roots: Vec<Root>,
    pub(crate) generations: NonEmpty<Generation>,
    /// One for each of `generations`.
    pub(crate) floors: BTreeMap<Generation, Tcb>,
    pub(crate) report_versions: NonEmpty<u32>,
    pub(crate) vmpls: NonEmpty<u32>,
    pub(crate) guest: GuestBits,
}

/// Which launch policy bits a guest may or must have. Debugging and migration have no setting:
/// such guests are always refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestBits {
    pub(crate) min_abi: (u8, u8),
    pub(crate) allow_smt: bool,
    pub(crate) allow_cxl: bool,
    pub(crate) require_single_socket: bool,
    pub(crate) require_aes_256_xts: bool,
    pub(crate) require_rapl_disabled: bool,
    pub(crate) require_ciphertext_hiding: bool,
    pub(crate) require_page_swap_disabled: bool,
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

    /// The accepted launch measurements.
    pub fn measurements(&self) -> &[Measurement] {
        self.measurements.as_slice()
    }

    /// The accepted releases.
    pub fn releases(&self) -> &[Digest] {
        self.releases.as_slice()
    }

    /// The digests of the root certificates that it trusts in this build.
    pub fn roots(&self) -> Vec<Digest> {
        self.snp.roots.iter().map(|root| root.digest()).collect()
    }
}

#[cfg(test)]
mod tests;
