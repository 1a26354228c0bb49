//! Root certificates.

use duckblind_protocol::ids::Digest;

use super::super::PolicyError;
use super::super::read::Section;
use super::super::sections::FILL_IN;
use crate::snp::Generation;

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

pub(super) fn read(snp: &mut Section, development: bool) -> Result<Vec<Root>, PolicyError> {
    let real = snp.list("roots", "64 hex digits", |text| text.parse::<Digest>().ok())?;
    let simulated = snp.list("simulator_roots", "64 hex digits", |text| {
        text.parse::<Digest>().ok()
    })?;
    if !simulated.is_empty() && !development {
        return Err(PolicyError::SimulatorInProduction);
    }
    if real.is_empty() && simulated.is_empty() {
        return Err(PolicyError::Empty {
            path: snp.path("roots"),
            hint: FILL_IN,
        });
    }
    let mut roots = Vec::new();
    for digest in real {
        let generation = Generation::of_root(&digest);
        roots.push(Root::Amd(generation.ok_or_else(|| {
            PolicyError::UnknownRoot {
                path: snp.path("roots"),
                digest: digest.to_string(),
            }
        })?));
    }
    // A build without simulators reads the list and has no use for it: such roots are unknown.
    #[cfg(feature = "simulator")]
    roots.extend(simulated.into_iter().map(Root::Simulated));
    Ok(roots)
}
