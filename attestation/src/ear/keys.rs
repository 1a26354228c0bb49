//! Keys of EAR signers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use duckblind_protocol::ids::{Digest, PublicKey, Signature};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// SubjectPublicKeyInfo of Ed25519 up to the key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// PKCS#8 of Ed25519 up to the seed (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Bytes of a key id.
const KID_LEN: usize = 8;

/// What challenges name the signer by: SHA-256 of its SubjectPublicKeyInfo (DER).
pub fn audience(key: &PublicKey) -> Digest {
    let mut spki = SPKI_PREFIX.to_vec();
    spki.extend(key.as_bytes());
    Digest::of(&spki)
}

/// The key id in signatures: the first 8 bytes of [`audience`], hex.
pub fn kid(key: &PublicKey) -> String {
    let digest = audience(key);
    hex::encode(digest.as_bytes().get(..KID_LEN).unwrap_or_default())
}

/// Signs EARs.
pub struct EarSigner {
    key: SigningKey,
    public: PublicKey,
    pub(super) jwt: jsonwebtoken::EncodingKey,
}

impl EarSigner {
    /// A signer with this key.
    pub fn new(key: SigningKey) -> Self {
        let mut pkcs8 = Zeroizing::new(Vec::with_capacity(48));
        pkcs8.extend(PKCS8_PREFIX);
        pkcs8.extend(key.as_bytes());
        Self {
            public: PublicKey::of(&key),
            jwt: jsonwebtoken::EncodingKey::from_ed_der(&pkcs8),
            key,
        }
    }

    /// The public half.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// What challenges for this signer carry.
    pub fn audience(&self) -> Digest {
        audience(&self.public)
    }

    /// The key id in its signatures.
    pub fn kid(&self) -> String {
        kid(&self.public)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        Signature::sign(&self.key, message)
    }
}

/// A pinned signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarVerifyKey(PublicKey);

impl EarVerifyKey {
    /// Pins `key`.
    pub const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// The key.
    pub const fn public_key(&self) -> PublicKey {
        self.0
    }

    /// The key id in its signatures.
    pub fn kid(&self) -> String {
        kid(&self.0)
    }

    /// What challenges for this signer carry.
    pub fn audience(&self) -> Digest {
        audience(&self.0)
    }

    /// The entry of a JSON Web Key Set (RFC 8037).
    pub fn jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.0.as_bytes()),
            "kid": self.kid(),
            "alg": "EdDSA",
            "use": "sig",
        })
    }

    /// The pinned key with this id.
    pub(super) fn find<'a>(keys: &'a [Self], kid: &str) -> Option<&'a Self> {
        keys.iter().find(|key| key.kid() == kid)
    }
}
