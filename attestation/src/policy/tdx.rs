//! What a policy says of Intel TDX.

mod guest;
mod platform;

use duckblind_protocol::ids::Digest;

use super::read::Section;
use super::sections::{FILL_IN, LIST_ONE};
use super::{NonEmpty, PolicyError};
pub(crate) use guest::{ConfigId, GuestPolicy, LoggedEvent, Register, TdxImage};
pub(crate) use platform::{MemoryProtection, PlatformPolicy, TcbPolicy};

/// Layout versions of quotes.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=5;

/// SHA-256 of the `Intel SGX Root CA` certificate, DER, valid from 2018-05-21 to 2049-12-31.
pub(crate) const INTEL_ROOT: Digest = Digest::from_bytes([
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
    0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
]);

/// A root certificate that platform certificates and collateral may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TdxRoot {
    /// Intel's own.
    Intel,
    /// Of a simulated platform.
    #[cfg(feature = "simulator")]
    Simulated(Digest),
}

impl TdxRoot {
    /// SHA-256 of the certificate, DER.
    pub(crate) const fn digest(self) -> Digest {
        match self {
            Self::Intel => INTEL_ROOT,
            #[cfg(feature = "simulator")]
            Self::Simulated(digest) => digest,
        }
    }

    pub(crate) const fn is_sim(self) -> bool {
        match self {
            Self::Intel => false,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => true,
        }
    }
}

/// What a TDX quote, and Intel's word on its platform, may say.
#[derive(Clone, Debug)]
pub(crate) struct TdxPolicy {
    /// Empty only if the file lists nothing but roots that this build has no use for: then every
    /// chain is refused.
    pub(crate) roots: Vec<TdxRoot>,
    pub(crate) quote_versions: NonEmpty<u32>,
    pub(crate) images: NonEmpty<TdxImage>,
    pub(crate) guest: GuestPolicy,
    pub(crate) tcb: TcbPolicy,
    pub(crate) platform: PlatformPolicy,
}

pub(super) fn read(top: &mut Section, development: bool) -> Result<TdxPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "roots",
        "simulator_roots",
        "quote_versions",
        "images",
        "event_log",
        "guest",
        "tcb",
        "platform",
    ];
    let mut tdx = top.section("tdx", KEYS)?;
    let images = guest::images(&mut tdx)?;
    let roots = roots(&mut tdx, development)?;
    let versions = tdx.numbers("quote_versions", VERSIONS)?;
    Ok(TdxPolicy {
        roots,
        quote_versions: tdx.non_empty("quote_versions", versions, LIST_ONE)?,
        images: tdx.non_empty("images", images, FILL_IN)?,
        guest: guest::guest(&mut tdx)?,
        tcb: platform::tcb(&mut tdx)?,
        platform: platform::platform(&mut tdx)?,
    })
}

fn roots(tdx: &mut Section, development: bool) -> Result<Vec<TdxRoot>, PolicyError> {
    let digest = |text: &str| text.parse::<Digest>().ok();
    let real = tdx.list("roots", "64 hex digits", digest)?;
    let simulated = tdx.list("simulator_roots", "64 hex digits", digest)?;
    if !simulated.is_empty() && !development {
        return Err(PolicyError::SimulatorInProduction);
    }
    if real.is_empty() && simulated.is_empty() {
        return Err(PolicyError::Empty {
            path: tdx.path("roots"),
            hint: FILL_IN,
        });
    }
    if let Some(unknown) = real.iter().find(|root| **root != INTEL_ROOT) {
        return Err(PolicyError::UnknownRoot {
            path: tdx.path("roots"),
            digest: unknown.to_string(),
        });
    }
    let roots = real.into_iter().map(|_| TdxRoot::Intel);
    // A build without simulators reads the list and has no use for it: such roots are unknown.
    #[cfg(feature = "simulator")]
    let roots = roots.chain(simulated.into_iter().map(TdxRoot::Simulated));
    Ok(roots.collect())
}

#[cfg(test)]
mod tests;
