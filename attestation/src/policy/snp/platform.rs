//! What a machine must be like.

use super::super::read::Section;
use super::super::{Allowed, PolicyError};
use super::bytes;
use crate::snp::Generation;

/// Which machines, and how they are set up.
#[derive(Clone, Debug)]
pub(crate) struct PlatformPolicy {
    pub(crate) chips: Allowed<[u8; 64]>,
    pub(crate) denied_chips: Vec<[u8; 64]>,
    /// Firmware that runs but is not committed: the host can still go back.
    pub(crate) allow_provisional_firmware: bool,
    pub(crate) require_alias_check: bool,
    pub(crate) require_ecc: bool,
    pub(crate) require_tsme: bool,
    pub(crate) require_rapl_disabled: bool,
    /// On these generations.
    pub(crate) require_ciphertext_hiding: Vec<Generation>,
    /// Devices inside the trust boundary of guests.
    pub(crate) allow_tio: bool,
}

pub(super) fn read(snp: &mut Section) -> Result<PlatformPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "chips",
        "denied_chips",
        "allow_provisional_firmware",
        "require_alias_check",
        "require_ecc",
        "require_tsme",
        "require_rapl_disabled",
        "require_ciphertext_hiding",
        "allow_tio",
    ];
    const DIGITS: &str = "128 hex digits, or 16 of a Turin chip";
    let mut platform = snp.section("platform", KEYS)?;
    Ok(PlatformPolicy {
        chips: platform.allowed("chips", DIGITS, chip)?,
        denied_chips: platform.list("denied_chips", DIGITS, chip)?,
        allow_provisional_firmware: platform.flag("allow_provisional_firmware")?,
        require_alias_check: platform.flag("require_alias_check")?,
        require_ecc: platform.flag("require_ecc")?,
        require_tsme: platform.flag("require_tsme")?,
        require_rapl_disabled: platform.flag("require_rapl_disabled")?,
        require_ciphertext_hiding: platform.names(
            "require_ciphertext_hiding",
            Generation::ALL,
            Generation::name,
        )?,
        allow_tio: platform.flag("allow_tio")?,
    })
}

/// A chip id as reports have it: those of Turin chips are short and followed by zeros. A masked id
/// is no chip's.
fn chip(text: &str) -> Option<[u8; 64]> {
    let mut id = [0; 64];
    match bytes::<8>(text) {
        Some(short) => id.split_first_chunk_mut().map(|(head, _)| *head = short)?,
        None => id = bytes(text)?,
    }
    (id != [0; 64]).then_some(id)
}
