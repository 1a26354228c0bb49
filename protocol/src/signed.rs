//! Small messages that carry their own signature: one way to sign and check them.

use ed25519_dalek::SigningKey;
use minicbor::Encode;

use crate::cbor;
use crate::ids::{BadSignature, PublicKey, Signature};

/// A message whose signature covers tag ‖ the canonical encoding of its signed fields.
pub(crate) trait SignedFields {
    /// What is signed; encoded with [`cbor::encode`].
    type Fields: Encode<()>;
    const TAG: &'static str;

    fn fields(&self) -> Self::Fields;
    fn signature(&self) -> &Signature;
    fn set_signature(&mut self, signature: Signature);

    fn message(&self) -> Vec<u8> {
        [Self::TAG.as_bytes(), &cbor::encode(&self.fields())].concat()
    }

    fn signed(mut self, key: &SigningKey) -> Self
    where
        Self: Sized,
    {
        let signature = Signature::sign(key, &self.message());
        self.set_signature(signature);
        self
    }

    fn check(&self, key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(&self.message(), self.signature())
    }
}

/// Opaque bytes and a signature over tag ‖ bytes.
pub(crate) fn sign_bytes(tag: &str, bytes: &[u8], key: &SigningKey) -> Signature {
    Signature::sign(key, &[tag.as_bytes(), bytes].concat())
}

/// Checks what [`sign_bytes`] signed.
pub(crate) fn check_bytes(
    tag: &str,
    bytes: &[u8],
    signature: &Signature,
    key: &PublicKey,
) -> Result<(), BadSignature> {
    key.verify(&[tag.as_bytes(), bytes].concat(), signature)
}
