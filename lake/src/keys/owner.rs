//! The owner key: Ed25519, signs manifests. One line `ed25519-secret:<hex>`, mode 0600.

use std::io::ErrorKind;
use std::path::Path;

use duckblind_protocol::ids::{PublicKey, Signature};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::private_file;

const PREFIX: &str = "ed25519-secret:";

/// The secret half; wipes itself when dropped.
pub struct OwnerKey(SigningKey);

impl OwnerKey {
    /// A fresh one.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut()).map_err(|_| KeyError::Randomness)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a key file of one line.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = private_file::read(path)?;
        let mut seed = Zeroizing::new([0; 32]);
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.strip_suffix('\n').unwrap_or(text).strip_prefix(PREFIX))
            .and_then(|hex| hex::decode_to_slice(hex, seed.as_mut()).ok())
            .ok_or(KeyError::Form {
                path: path.into(),
                why: "it must be one line `ed25519-secret:` and 64 hex digits",
            })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Writes the key to a new file; one that is there is never replaced.
    pub fn save_new(&self, path: &Path) -> Result<(), KeyError> {
        let hex = Zeroizing::new(hex::encode(self.0.as_bytes()));
        let mut line = Zeroizing::new(String::with_capacity(PREFIX.len() + hex.len() + 1));
        line.push_str(PREFIX);
        line.push_str(&hex);
        line.push('\n');
        private_file::write(path, line.as_bytes(), false)
    }

    /// Reads the key, or makes one if there is none; also whether it is new. Of several processes
    /// that make one at once, all get the same.
    pub fn load_or_new(path: &Path) -> Result<(Self, bool), KeyError> {
        let is = |error: &KeyError, wanted| matches!(error, KeyError::Io { kind, .. } if *kind == wanted);
        match Self::load(path) {
            Err(error) if is(&error, ErrorKind::NotFound) => {}
            other => return other.map(|key| (key, false)),
        }
        let key = Self::generate()?;
        match key.save_new(path) {
            Ok(()) => Ok((key, true)),
            Err(error) if is(&error, ErrorKind::AlreadyExists) => {
                Self::load(path).map(|key| (key, false))
            }
            Err(error) => Err(error),
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::of(&self.0)
    }

    /// For signing other things in the owner's name, such as orders.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::sign(&self.0, message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_no_overwriting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        let key = OwnerKey::generate().unwrap();
        key.save_new(&path).unwrap();
        assert!(OwnerKey::generate().unwrap().save_new(&path).is_err());
        assert_eq!(OwnerKey::load(&path).unwrap().public(), key.public());
    }

    #[test]
    fn made_at_once_it_is_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| OwnerKey::load_or_new(&path).unwrap()))
                .collect();
            makers.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let public = OwnerKey::load(&path).unwrap().public();
        assert!(made.iter().all(|(key, _)| key.public() == public));
        assert_eq!(made.iter().filter(|(_, is_new)| *is_new).count(), 1);
    }

    #[test]
    fn malformed_lines_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        let good = format!("{PREFIX}{}", "11".repeat(32));
        for text in [
            "",
            PREFIX,
            &good[..good.len() - 1],
            &format!("{good}\n\n"),
            &format!("x{good}"),
        ] {
            private_file::write(&path, text.as_bytes(), true).unwrap();
            assert!(
                matches!(OwnerKey::load(&path), Err(KeyError::Form { .. })),
                "{text}"
            );
        }
        private_file::write(&path, good.as_bytes(), true).unwrap();
        assert!(OwnerKey::load(&path).is_ok());
    }
}
