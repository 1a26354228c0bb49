//! The key that signs attestation results, and its public half as a JSON Web Key.

use std::path::Path;

use duckblind_attestation::ear::{EarSigner, EarVerifyKey};
use duckblind_protocol::ids::{Digest, PublicKey, random_bytes};
use duckblind_protocol::key_file;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::VerifierError;
use crate::files;

/// Name of the secret file that [`create`] writes.
pub const SECRET_FILE: &str = "ear.key";
/// Name of the public file that [`create`] writes.
pub const PUBLIC_FILE: &str = "ear.pub";

/// The verifier's signing key.
pub struct EarKey {
    public: PublicKey,
    signer: EarSigner,
}

impl EarKey {
    /// Reads a secret key file (mode 0600).
    pub fn read(path: &Path) -> Result<Self, VerifierError> {
        let text = files::read_secret(path)?;
        let key = key_file::parse_secret(&text).map_err(|_| VerifierError::Key {
            path: path.into(),
            kind: "`ed25519-secret:` and 64 hex digits",
        })?;
        Ok(Self::new(key))
    }

    /// From a key in memory.
    pub fn new(key: SigningKey) -> Self {
        let signer = EarSigner::new(key);
        Self {
            public: signer.public_key(),
            signer,
        }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What signs.
    pub fn signer(&self) -> &EarSigner {
        &self.signer
    }

    /// What evidence for this verifier must name.
    pub fn audience(&self) -> Digest {
        self.signer.audience()
    }
}

/// Reads a public key file.
pub fn read_public(path: &Path) -> Result<PublicKey, VerifierError> {
    key_file::parse_public(&files::read_text(path)?).map_err(|_| VerifierError::Key {
        path: path.into(),
        kind: "`ed25519:` and 64 hex digits",
    })
}

/// Makes a new key: `ear.key` (0600) and `ear.pub` in `dir`.
pub fn create(dir: &Path) -> Result<PublicKey, VerifierError> {
    let mut seed = Zeroizing::new([0; 32]);
    random_bytes(seed.as_mut_slice())?;
    let key = SigningKey::from_bytes(&seed);
    let public = PublicKey::of(&key);
    files::create_dir(dir)?;
    files::create_new(
        &dir.join(SECRET_FILE),
        0o600,
        key_file::format_secret(&key).as_bytes(),
    )?;
    files::create_new(
        &dir.join(PUBLIC_FILE),
        0o644,
        key_file::format_public(&public).as_bytes(),
    )?;
    Ok(public)
}

/// The keys as a JSON Web Key Set (RFC 7517, RFC 8037), the current one first. It tells which key
/// signed; whether to trust that key is pinned elsewhere.
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Value {
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|key| EarVerifyKey::new(*key).jwk())
        .collect();
    json!({ "keys": keys })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn a_made_key_reads_back_and_shows_in_the_key_set() {
        let dir = tempfile::tempdir().unwrap();
        let public = create(dir.path()).unwrap();
        let key = EarKey::read(&dir.path().join(SECRET_FILE)).unwrap();
        assert_eq!(key.public(), &public);
        assert_eq!(read_public(&dir.path().join(PUBLIC_FILE)).unwrap(), public);
        let set = jwks([&public]);
        let x = set.pointer("/keys/0/x").unwrap().as_str().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(x).unwrap(), public.as_bytes());
        assert!(create(dir.path()).is_err(), "keys are not overwritten");
    }
}
