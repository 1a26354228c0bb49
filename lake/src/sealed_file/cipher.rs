//! A data key ready for both of the format's ciphers.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use super::aad::Aad as ModuleAad;
use super::error::LakeError;
use super::modules::{self, LENGTH};
use crate::keys::DataKey;

/// A key, expanded once.
pub(super) struct Cipher {
    gcm: LessSafeKey,
    /// For pages under AES_GCM_CTR_V1.
    ctr: Option<DecryptingKey>,
    label: String,
}

impl Cipher {
    /// Expands a key; `ctr` if pages are under AES-CTR.
    pub(super) fn new(key: &DataKey, ctr: bool) -> Result<Self, LakeError> {
        let length = || LakeError::KeyLength {
            key: key.label().to_owned(),
        };
        let bytes = key.expose();
        let algorithm = match bytes.len() {
            16 => &AES_128,
            24 => &AES_192,
            32 => &AES_256,
            _ => return Err(length()),
        };
        let ctr = if ctr {
            let key = UnboundCipherKey::new(algorithm, bytes).and_then(DecryptingKey::ctr);
            Some(key.map_err(|_| length())?)
        } else {
            None
        };
        Ok(Self {
            gcm: key.aead().map_err(|_| length())?,
            ctr,
            label: key.label().to_owned(),
        })
    }

    /// What errors call the key.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Opens a whole GCM module into `out`, which must have exactly the plaintext's length. On
    /// failure `out` holds nothing of the plaintext.
    pub(super) fn open(&self, module: &[u8], aad: &[u8], out: &mut [u8]) -> Option<()> {
        modules::open(&self.gcm, module, aad, out)
    }

    /// Decrypts a whole CTR module into `out`, which must have exactly the plaintext's length.
    /// Nothing authenticates it: the stored bytes must have been checked before.
    pub(super) fn decrypt(&self, module: &[u8], out: &mut [u8]) -> Option<()> {
        let (length, rest) = module.split_first_chunk::<LENGTH>()?;
        if usize::try_from(u32::from_le_bytes(*length)).ok()? != rest.len() {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        if sealed.len() != out.len() {
            return None;
        }
        out.copy_from_slice(sealed);
        let mut counter = [0; 16];
        counter
            .first_chunk_mut::<NONCE_LEN>()?
            .copy_from_slice(nonce);
        *counter.last_mut()? = 1;
        let context = DecryptionContext::Iv128(FixedLength::from(counter));
        self.ctr.as_ref()?.decrypt(out, context).ok().map(drop)
    }

    /// Whether `signature`, a nonce and a tag, is what encrypting `footer` gives.
    pub(super) fn signed(&self, footer: &[u8], aad: &ModuleAad, signature: &[u8]) -> Option<bool> {
        let (nonce, tag) = signature.split_first_chunk::<NONCE_LEN>()?;
        let mut footer = footer.to_vec();
        let made = self
            .gcm
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad.as_slice()),
                &mut footer,
            )
            .ok()?;
        Some(aws_lc_rs::constant_time::verify_slices_are_equal(made.as_ref(), tag).is_ok())
    }
}
