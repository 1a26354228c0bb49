//! What a guest may be, and what its owner may have said of it.

use super::super::read::Section;
use super::super::sections::FILL_IN;
use super::super::{Allowed, NonEmpty, PolicyError};
use super::bytes;
use crate::measurement::Measurement;
use crate::snp::Generation;

/// What was launched, and what its owner and its host gave it to carry.
#[derive(Clone, Debug)]
pub(crate) struct GuestIdentity {
    pub(crate) measurements: NonEmpty<Measurement>,
    pub(crate) host_data: Allowed<[u8; 32]>,
    pub(crate) family_ids: Allowed<[u8; 16]>,
    pub(crate) image_ids: Allowed<[u8; 16]>,
    pub(crate) min_svn: u32,
    /// SHA-384 of the key that signed the id block.
    pub(crate) id_keys: Allowed<[u8; 48]>,
    /// SHA-384 of the key that signed that key.
    pub(crate) author_keys: Allowed<[u8; 48]>,
}

/// Which launch policy bits a guest may or must have. Debugging and migration have no setting:
/// such guests are always refused.
#[derive(Clone, Debug)]
pub(crate) struct GuestBits {
    pub(crate) min_abi: (u8, u8),
    pub(crate) allow_smt: bool,
    pub(crate) allow_cxl: bool,
    pub(crate) require_single_socket: bool,
    pub(crate) require_aes_256_xts: bool,
    pub(crate) require_rapl_disabled: bool,
    /// On these generations.
    pub(crate) require_ciphertext_hiding: Vec<Generation>,
    pub(crate) require_page_swap_disabled: bool,
}

pub(super) fn identity(snp: &mut Section) -> Result<GuestIdentity, PolicyError> {
    let measurements = snp.list("measurements", "96 hex digits", |text| text.parse().ok())?;
    Ok(GuestIdentity {
        measurements: snp.non_empty("measurements", measurements, FILL_IN)?,
        host_data: snp.allowed("host_data", "\"zero\" and 64 hex digits", bytes)?,
        family_ids: snp.allowed("family_ids", "\"zero\" and 32 hex digits", bytes)?,
        image_ids: snp.allowed("image_ids", "\"zero\" and 32 hex digits", bytes)?,
        min_svn: snp.number("min_guest_svn")?,
        id_keys: snp.allowed("id_keys", "\"zero\" and 96 hex digits", bytes)?,
        author_keys: snp.allowed("author_keys", "\"zero\" and 96 hex digits", bytes)?,
    })
}

pub(super) fn bits(snp: &mut Section) -> Result<GuestBits, PolicyError> {
    const KEYS: &[&str] = &[
        "min_abi_major",
        "min_abi_minor",
        "allow_smt",
        "allow_cxl",
        "require_single_socket",
        "require_aes_256_xts",
        "require_rapl_disabled",
        "require_ciphertext_hiding",
        "require_page_swap_disabled",
    ];
    let mut bits = snp.section("guest_policy", KEYS)?;
    Ok(GuestBits {
        min_abi: (bits.number("min_abi_major")?, bits.number("min_abi_minor")?),
        allow_smt: bits.flag("allow_smt")?,
        allow_cxl: bits.flag("allow_cxl")?,
        require_single_socket: bits.flag("require_single_socket")?,
        require_aes_256_xts: bits.flag("require_aes_256_xts")?,
        require_rapl_disabled: bits.flag("require_rapl_disabled")?,
        require_ciphertext_hiding: bits.names(
            "require_ciphertext_hiding",
            Generation::ALL,
            Generation::name,
        )?,
        require_page_swap_disabled: bits.flag("require_page_swap_disabled")?,
    })
}
