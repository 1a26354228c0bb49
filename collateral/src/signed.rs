//! What certificates and revocation lists share: a signed part, an algorithm, a signature.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::BitStringRef;
use der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// How AMD's root signs.
pub(crate) const AMD: &dyn VerificationAlgorithm = &RSA_PSS_2048_8192_SHA384;
/// How Intel's authorities sign certificates and lists.
pub(crate) const INTEL: &dyn VerificationAlgorithm = &ECDSA_P256_SHA256_ASN1;

/// The parts of `SEQUENCE { tbs, algorithm, signature }`, byte for byte.
pub(crate) struct SignedDer<'a> {
    tbs: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SignedDer<'a> {
    /// `None` if it has another shape, or bytes after it.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = SliceReader::new(bytes).ok()?;
        let parts = outer.sequence(|inner| {
            let tbs = inner.tlv_bytes()?;
            inner.tlv_bytes()?;
            let signature = BitStringRef::decode(inner)?;
            der::Result::Ok((tbs, signature))
        });
        let (tbs, signature) = parts.ok()?;
        outer.finish().ok()?;
        Some(Self {
            tbs,
            signature: signature.as_bytes()?,
        })
    }

    /// Whether the holder of `key` signed it.
    pub(crate) fn by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        key: &SubjectPublicKeyInfoOwned,
    ) -> bool {
        verify(algorithm, key, self.tbs, self.signature)
    }
}

/// Whether `signature` is over `message`; the key's type is the algorithm's to check.
pub(crate) fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &SubjectPublicKeyInfoOwned,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let key = key.subject_public_key.as_bytes().unwrap_or_default();
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, signature)
        .is_ok()
}
