//! AMD's certificates: parsed once, signatures checked over the bytes as they came.

use const_oid::ObjectIdentifier;
use der::{Decode, Reader, SliceReader};
use duckblind_protocol::ids::{Digest, UnixTime};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use super::SignatureCache;
use super::signed::{self, SignedParts};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// Why a certificate is not what a chain needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not DER of a certificate, or with bytes after it.
    #[error("not a certificate")]
    Malformed,
    /// Not RSASSA-PSS with SHA-384 and a salt of 48 bytes, inside and outside.
    #[error("not signed with RSASSA-PSS, SHA-384, salt 48")]
    SignatureAlgorithm,
    /// An extension is there twice, or critical and unknown.
    #[error("extensions that cannot be relied on")]
    Extensions,
    /// The issuer's name is not the subject of the certificate above.
    #[error("issued by another name")]
    Issuer,
    /// The signature does not hold.
    #[error("the signature does not verify")]
    Signature,
    /// Not allowed to sign certificates.
    #[error("not a certificate authority")]
    NotAnAuthority,
    /// Not allowed to sign revocation lists.
    #[error("not allowed to sign revocation lists")]
    NotACrlSigner,
    /// Not an RSA key of 4096 bits.
    #[error("not an RSA key of 4096 bits")]
    NotRsa4096,
    /// Not a P-384 key.
    #[error("not a P-384 key")]
    NotP384,
}

/// A parsed certificate, not verified.
#[derive(Debug)]
pub struct Certificate {
    tbs: Vec<u8>,
    parsed: x509_cert::Certificate,
    digest: Digest,
}

impl Certificate {
    /// From DER and nothing after it.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let parsed =
            x509_cert::Certificate::from_der(bytes).map_err(|_| CertificateError::Malformed)?;
        let tbs = parsed.tbs_certificate();
        let algorithm = parsed.signature_algorithm();
        if tbs.signature() != algorithm || !signed::is_pss_sha384(algorithm) {
            return Err(CertificateError::SignatureAlgorithm);
        }
        if !signed::extensions_are_known(tbs.extensions(), &[KEY_USAGE, BASIC_CONSTRAINTS]) {
            return Err(CertificateError::Extensions);
        }
        Ok(Self {
            tbs: signed::signed_part(bytes)
                .map_err(|_| CertificateError::Malformed)?
                .to_vec(),
            parsed,
            digest: Digest::of(bytes),
        })
    }

    /// SHA-256 of the DER.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// First and last second of validity.
    pub fn validity(&self) -> (UnixTime, UnixTime) {
        let validity = self.parsed.tbs_certificate().validity();
        let (from, to) = (&validity.not_before, &validity.not_after);
        (signed::seconds(from), signed::seconds(to))
    }

    /// Serial number, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate().serial_number().as_bytes()
    }

    pub(super) fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    /// Whether its subject calls itself a signer of VLEKs (an ASVK).
    pub fn is_vlek_signer(&self) -> bool {
        let name = self.subject().common_name().ok().flatten();
        name.is_some_and(|name| name.value().starts_with("SEV-VLEK"))
    }

    /// Content of the extension `oid`.
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let mut extensions = self
            .parsed
            .tbs_certificate()
            .extensions()
            .into_iter()
            .flatten();
        extensions
            .find(|extension| extension.extn_id == oid)
            .map(|extension| extension.extn_value.as_bytes())
    }

    /// Checks that `issuer` may sign certificates and signed this one.
    pub fn signed_by(&self, issuer: &Self, cache: &SignatureCache) -> Result<(), CertificateError> {
        if !issuer.may(KeyUsage::key_cert_sign) {
            return Err(CertificateError::NotAnAuthority);
        }
        issuer.signed(
            self.parsed.tbs_certificate().issuer(),
            &SignedParts {
                signed: &self.tbs,
                signature: self.parsed.signature(),
            },
            cache,
        )
    }

    /// Whether it is an authority's, and its key may be used so.
    pub(super) fn may(&self, usage: impl FnOnce(&KeyUsage) -> bool) -> bool {
        let basic = self.extension(BASIC_CONSTRAINTS);
        let ca = basic.and_then(|der| BasicConstraints::from_der(der).ok());
        let usages = self.extension(KEY_USAGE);
        let usages = usages.and_then(|der| KeyUsage::from_der(der).ok());
        ca.is_some_and(|ca| ca.ca) && usages.is_some_and(|usages| usage(&usages))
    }

    /// Checks that this certificate's key signed something that names `issuer`.
    pub(super) fn signed(
        &self,
        issuer: &Name,
        what: &SignedParts<'_>,
        cache: &SignatureCache,
    ) -> Result<(), CertificateError> {
        if issuer != self.subject() {
            return Err(CertificateError::Issuer);
        }
        if what.verify(self.rsa4096()?, cache) {
            Ok(())
        } else {
            Err(CertificateError::Signature)
        }
    }

    /// PKCS#1 form of an RSA key of 4096 bits.
    fn rsa4096(&self) -> Result<&[u8], CertificateError> {
        let info = self.parsed.tbs_certificate().subject_public_key_info();
        let key = info.subject_public_key.as_bytes().unwrap_or_default();
        if info.algorithm.oid == RSA_ENCRYPTION && modulus_bits(key) == Some(4096) {
            Ok(key)
        } else {
            Err(CertificateError::NotRsa4096)
        }
    }

    /// Uncompressed point of a P-384 key.
    pub fn p384(&self) -> Result<[u8; 97], CertificateError> {
        let info = self.parsed.tbs_certificate().subject_public_key_info();
        let curve = info.algorithm.parameters.as_ref();
        let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        if info.algorithm.oid != EC_PUBLIC_KEY || curve != Some(SECP384R1) {
            return Err(CertificateError::NotP384);
        }
        let point = info.subject_public_key.as_bytes().unwrap_or_default();
        let point: [u8; 97] = point.try_into().map_err(|_| CertificateError::NotP384)?;
        if point.first() == Some(&4) {
            Ok(point)
        } else {
            Err(CertificateError::NotP384)
        }
    }
}

/// Size of the modulus in a PKCS#1 public key.
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let mut outer = SliceReader::new(key).ok()?;
    let modulus = outer
        .sequence(|inner| {
            let modulus = der::asn1::UintRef::decode(inner)?;
            inner.tlv_bytes()?;
            der::Result::Ok(modulus)
        })
        .ok()?;
    let bytes = modulus.as_bytes();
    let first = bytes.first()?;
    Some(bytes.len() * 8 - usize::try_from(first.leading_zeros()).ok()?)
}
