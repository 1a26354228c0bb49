//! What a policy says of Intel TDX.

use duckblind_protocol::ids::Digest;

use super::read::Section;
use super::sections::FILL_IN;
use super::{NonEmpty, PolicyError};
use crate::measurement::Measurement;

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
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Intel => INTEL_ROOT,
            #[cfg(feature = "simulator")]
            Self::Simulated(digest) => digest,
        }
    }
}

/// SHA-256 of the `Intel SGX Root CA` certificate, DER.
pub(crate) const INTEL_ROOT: Digest = Digest::from_bytes([0; 32]);

/// One image as it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TdxImage {
    /// What was launched.
    pub(crate) mrtd: Measurement,
}

/// What a TDX quote may say.
#[derive(Clone, Debug)]
pub(crate) struct TdxPolicy {
    pub(crate) images: NonEmpty<TdxImage>,
    pub(crate) roots: Vec<TdxRoot>,
}

pub(super) fn read(top: &mut Section, _development: bool) -> Result<TdxPolicy, PolicyError> {
    let mut tdx = top.section("tdx", &["images"])?;
    let images = tdx.list("images", "96 hex digits", |text| {
        Some(TdxImage {
            mrtd: text.parse().ok()?,
        })
    })?;
    Ok(TdxPolicy {
        images: tdx.non_empty("images", images, FILL_IN)?,
        roots: vec![TdxRoot::Intel],
    })
}
