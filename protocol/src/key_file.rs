//! Ed25519 keys as text: one line, `ed25519:<hex>` or `ed25519-secret:<hex>`.

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::coded::{Coded, Exit};
use crate::ids::PublicKey;

const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

/// Text that is no key of the wanted kind. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
#[error("not a key file")]
pub struct KeyFileError {
    wanted: &'static str,
}

impl Coded for KeyFileError {
    fn code(&self) -> &'static str {
        "DB-PRO-004"
    }
    fn exit(&self) -> Exit {
        Exit::Usage
    }
    fn expected(&self) -> Option<String> {
        Some(format!("one line: {}<64 hex digits>", self.wanted))
    }
}

/// The public key in `text`.
pub fn parse_public(text: &str) -> Result<PublicKey, KeyFileError> {
    text.trim()
        .strip_prefix(PUBLIC)
        .and_then(|hex| hex.parse().ok())
        .ok_or(KeyFileError { wanted: PUBLIC })
}

/// The secret key in `text`.
pub fn parse_secret(text: &str) -> Result<SigningKey, KeyFileError> {
    let wanted = KeyFileError { wanted: SECRET };
    let Some(digits) = text.trim().strip_prefix(SECRET) else {
        return Err(wanted);
    };
    let mut seed = Zeroizing::new([0; 32]);
    match hex::decode_to_slice(digits, seed.as_mut_slice()) {
        Ok(()) => Ok(SigningKey::from_bytes(&seed)),
        Err(_) => Err(wanted),
    }
}

/// One line for a `.pub` file.
pub fn format_public(key: &PublicKey) -> String {
    format!("{PUBLIC}{key}\n")
}

/// One line for a secret key file, which must have mode 0600.
pub fn format_secret(key: &SigningKey) -> Zeroizing<String> {
    let mut digits = Zeroizing::new([0; 64]);
    // 32 bytes always fit into 64 digits.
    let _ = hex::encode_to_slice(key.as_bytes(), digits.as_mut_slice());
    let digits = std::str::from_utf8(digits.as_slice()).unwrap_or_default();
    let mut line = Zeroizing::new(String::with_capacity(SECRET.len() + 65));
    line.push_str(SECRET);
    line.push_str(digits);
    line.push('\n');
    line
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let public = PublicKey::of(&key);
        assert_eq!(parse_public(&format_public(&public)).unwrap(), public);
        assert_eq!(parse_secret(&format_secret(&key)).unwrap(), key);
    }

    #[test]
    fn the_two_kinds_are_not_mixed_up() {
        let key = SigningKey::from_bytes(&[9; 32]);
        assert!(parse_public(&format_secret(&key)).is_err());
        assert!(parse_secret(&format_public(&PublicKey::of(&key))).is_err());
        assert!(parse_secret("ed25519-secret:00").is_err());
    }
}
