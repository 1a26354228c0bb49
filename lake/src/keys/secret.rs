//! Secret bytes as types: wiped when dropped, never shown, never cloned.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Algorithm, LessSafeKey, UnboundKey};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox};
use zeroize::Zeroizing;

use super::error::KeyError;

/// The key that a person holds for one table: 16, 24 or 32 bytes that wrap its data keys.
pub struct TableKey(SecretBox<Vec<u8>>);

impl TableKey {
    /// A fresh one of 32 bytes.
    pub fn generate() -> Result<Self, KeyError> {
        Self::generate_of(32)
    }

    /// A fresh one of 16, 24 or 32 bytes.
    pub fn generate_of(length: usize) -> Result<Self, KeyError> {
        algorithm(length).ok_or(KeyError::Length { got: length })?;
        let mut bytes = SecretBox::new(Box::new(vec![0; length]));
        aws_lc_rs::rand::fill(bytes.expose_secret_mut()).map_err(|_| KeyError::Randomness)?;
        Ok(Self(bytes))
    }

    /// A copy of the bytes; `None` unless AES knows their number.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        algorithm(bytes.len())?;
        Some(Self(SecretBox::new(Box::new(bytes.to_vec()))))
    }

    /// From 32, 48 or 64 hex digits; `None` if they are not.
    pub fn from_hex(text: &str) -> Option<Self> {
        algorithm(text.len() / 2)?;
        let mut bytes = SecretBox::new(Box::new(vec![0; text.len() / 2]));
        hex::decode_to_slice(text, bytes.expose_secret_mut()).ok()?;
        Some(Self(bytes))
    }

    /// Whether both are the same key, in constant time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }

    /// The key as hex, for the key file.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.expose()))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The key, ready for AES-GCM.
    pub(crate) fn aead(&self) -> Result<LessSafeKey, KeyError> {
        aead_of(self.expose())
    }
}

/// The key of one Parquet file: 16, 24 or 32 bytes.
pub struct DataKey {
    bytes: SecretBox<Vec<u8>>,
    label: String,
}

impl DataKey {
    /// A fresh 32-byte key.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = vec![0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
        Self::from_vec(bytes)
    }

    /// A copy of the bytes; refused unless AES knows their number.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_vec(bytes.to_vec())
    }

    /// Takes the bytes over.
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = SecretBox::new(Box::new(bytes));
        let got = bytes.expose_secret().len();
        algorithm(got).ok_or(KeyError::Length { got })?;
        Ok(Self {
            bytes,
            label: "data key".into(),
        })
    }

    /// Names the key for error texts, such as `orders-v1`.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What errors call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// The key, ready for AES-GCM.
    pub(crate) fn aead(&self) -> Result<LessSafeKey, KeyError> {
        aead_of(self.expose())
    }
}

fn algorithm(length: usize) -> Option<&'static Algorithm> {
    match length {
        16 => Some(&AES_128_GCM),
        24 => Some(&AES_192_GCM),
        32 => Some(&AES_256_GCM),
        _ => None,
    }
}

fn aead_of(bytes: &[u8]) -> Result<LessSafeKey, KeyError> {
    let length = || KeyError::Length { got: bytes.len() };
    UnboundKey::new(algorithm(bytes.len()).ok_or_else(length)?, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| length())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_lengths_that_aes_knows() {
        for length in 0..40 {
            assert_eq!(
                DataKey::from_vec(vec![1; length]).is_ok(),
                [16, 24, 32].contains(&length)
            );
        }
    }

    #[test]
    fn hex_round_trip() {
        let key = TableKey::generate().unwrap();
        let again = TableKey::from_hex(&key.to_hex()).unwrap();
        assert_eq!(key.expose(), again.expose());
        for length in 0..40 {
            let key = TableKey::from_hex(&"5a".repeat(length));
            assert_eq!(key.is_some(), [16, 24, 32].contains(&length));
        }
        assert!(TableKey::from_hex(&"5".repeat(65)).is_none());
        assert!(TableKey::from_hex(&"z".repeat(64)).is_none());
    }
}
