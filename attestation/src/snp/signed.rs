//! What certificates and revocation lists have in common: RSASSA-PSS over the bytes as they came.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use const_oid::ObjectIdentifier;
use der::asn1::BitString;
use der::{Encode, Reader, SliceReader};
use duckblind_protocol::ids::UnixTime;
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::SignatureCache;

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Parameters of RSASSA-PSS: SHA-384, MGF1 with SHA-384, salt of 48 bytes. AMD writes them with
/// and without the default trailer field.
pub(crate) const PSS_SHA384: [u8; 54] = [
    0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
    0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
    0x00, 0xa2, 0x03, 0x02, 0x01, 0x30,
];
const TRAILER: [u8; 5] = [0xa3, 0x03, 0x02, 0x01, 0x01];

/// The bytes that a signature covers, and the signature.
pub(super) struct SignedParts<'a> {
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a BitString,
}

impl SignedParts<'_> {
    /// Whether the RSA key (PKCS#1) made the signature.
    pub(super) fn verify(&self, key: &[u8], cache: &SignatureCache) -> bool {
        let signature = self.signature.as_bytes().unwrap_or_default();
        cache.verified(key, self.signed, signature, || {
            UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, key)
                .verify(self.signed, signature)
                .is_ok()
        })
    }
}

/// The first element of the outer sequence, byte for byte.
pub(super) fn signed_part(bytes: &[u8]) -> der::Result<&[u8]> {
    let mut outer = SliceReader::new(bytes)?;
    outer.sequence(|inner| {
        let tbs = inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        Ok(tbs)
    })
}

/// Whether it is RSASSA-PSS with SHA-384 and a salt of 48 bytes, inside and outside.
pub(super) fn is_pss_sha384(algorithm: &AlgorithmIdentifierOwned) -> bool {
    let parameters = algorithm.parameters.as_ref();
    let parameters = parameters.and_then(|any| any.to_der().ok());
    let parameters = parameters.unwrap_or_default();
    let with_trailer = PSS_SHA384.get(2..).and_then(|body| {
        parameters
            .strip_prefix(&[0x30, 0x39])
            .and_then(|rest| rest.strip_prefix(body))
    });
    algorithm.oid == RSASSA_PSS && (parameters == PSS_SHA384 || with_trailer == Some(&TRAILER))
}

/// Whether none is there twice, and each that is critical is one of `known`.
pub(super) fn extensions_are_known(
    extensions: Option<&Extensions>,
    known: &[ObjectIdentifier],
) -> bool {
    let mut seen = Vec::new();
    for extension in extensions.into_iter().flatten() {
        let oid = extension.extn_id;
        if seen.contains(&oid) || (extension.critical && !known.contains(&oid)) {
            return false;
        }
        seen.push(oid);
    }
    true
}

pub(super) fn seconds(time: &Time) -> UnixTime {
    UnixTime(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
