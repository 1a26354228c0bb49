//! One encrypted module: 4 bytes length (little endian), 12 bytes nonce, data, 16 bytes tag.

use aws_lc_rs::aead::{Aad as AeadAad, LessSafeKey, NONCE_LEN, Nonce};

/// Bytes of the length field.
pub(super) const LENGTH: usize = 4;
/// Bytes of the nonce.
pub(super) const NONCE: usize = NONCE_LEN;
/// Bytes of the tag.
pub(super) const TAG: usize = 16;
/// Bytes that a module adds to its plaintext.
pub(super) const OVERHEAD: usize = LENGTH + NONCE_LEN + TAG;

/// The whole module's size, from its first four bytes; `None` if it cannot be one.
pub(super) fn size(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<LENGTH>()?);
    let length = usize::try_from(length).ok()?.checked_add(LENGTH)?;
    (length >= OVERHEAD).then_some(length)
}

/// Opens a whole module into `out`, which must have exactly the plaintext's length. On failure
/// `out` holds nothing of the plaintext.
pub(super) fn open(key: &LessSafeKey, module: &[u8], aad: &[u8], out: &mut [u8]) -> Option<()> {
    if size(module)? != module.len() {
        return None;
    }
    let (nonce, sealed) = module.get(LENGTH..)?.split_first_chunk::<NONCE_LEN>()?;
    let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
    key.open_separate_gather(
        Nonce::assume_unique_for_key(*nonce),
        AeadAad::from(aad),
        sealed,
        tag,
        out,
    )
    .map_err(|_| out.fill(0))
    .ok()
}
