//! AMD's certificates: parsed once, signatures checked over the bytes as they came.

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use const_oid::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader};
use duckblind_protocol::ids::{Digest, UnixTime};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// Parameters of RSASSA-PSS: SHA-384, MGF1 with SHA-384, salt of 48 bytes. AMD writes them with
/// and without the default trailer field.
pub(crate) const PSS_SHA384: [u8; 54] = [
    0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
    0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
    0x00, 0xa2, 0x03, 0x02, 0x01, 0x30,
];
const TRAILER: [u8; 5] = [0xa3, 0x03, 0x02, 0x01, 0x01];

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
        let certificate = Self {
            tbs: signed_part(bytes)
                .map_err(|_| CertificateError::Malformed)?
                .to_vec(),
            parsed,
            digest: Digest::of(bytes),
        };
        certificate.sane()?;
        Ok(certificate)
    }

    /// What holds for every certificate of this vendor.
    fn sane(&self) -> Result<(), CertificateError> {
        let tbs = self.parsed.tbs_certificate();
        let algorithm = self.parsed.signature_algorithm();
        let parameters = algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.to_der().ok())
            .unwrap_or_default();
        if algorithm.oid != RSASSA_PSS
            || tbs.signature() != algorithm
            || !is_pss_sha384(&parameters)
        {
            return Err(CertificateError::SignatureAlgorithm);
        }
        let mut seen = Vec::new();
        for extension in tbs.extensions().into_iter().flatten() {
            let oid = extension.extn_id;
            let known = oid == KEY_USAGE || oid == BASIC_CONSTRAINTS;
            if seen.contains(&oid) || (extension.critical && !known) {
                return Err(CertificateError::Extensions);
            }
            seen.push(oid);
        }
        Ok(())
    }

    /// SHA-256 of the DER.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// First and last second of validity.
    pub fn validity(&self) -> (UnixTime, UnixTime) {
        let validity = self.parsed.tbs_certificate().validity();
        let seconds = |time: &x509_cert::time::Time| {
            UnixTime(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        (seconds(&validity.not_before), seconds(&validity.not_after))
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
    pub fn signed_by(&self, issuer: &Self) -> Result<(), CertificateError> {
        issuer.authority()?;
        let above = issuer.parsed.tbs_certificate().subject();
        if self.parsed.tbs_certificate().issuer() != above {
            return Err(CertificateError::Issuer);
        }
        let key = UnparsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA384, issuer.rsa4096()?);
        let signature = self.parsed.signature().as_bytes();
        key.verify(&self.tbs, signature.unwrap_or_default())
            .map_err(|_| CertificateError::Signature)
    }

    fn authority(&self) -> Result<(), CertificateError> {
        let basic = self.extension(BASIC_CONSTRAINTS);
        let usage = self.extension(KEY_USAGE);
        let ca = basic.and_then(|der| BasicConstraints::from_der(der).ok());
        let usage = usage.and_then(|der| KeyUsage::from_der(der).ok());
        match (ca, usage) {
            (Some(ca), Some(usage)) if ca.ca && usage.key_cert_sign() => Ok(()),
            _ => Err(CertificateError::NotAnAuthority),
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

fn is_pss_sha384(parameters: &[u8]) -> bool {
    let Some(body) = PSS_SHA384.get(2..) else {
        return false;
    };
    let with_trailer = parameters
        .strip_prefix(&[0x30, 0x39])
        .and_then(|rest| rest.strip_prefix(body));
    parameters == PSS_SHA384 || with_trailer == Some(&TRAILER)
}

/// The first element of the outer sequence, byte for byte.
fn signed_part(bytes: &[u8]) -> der::Result<&[u8]> {
    let mut outer = SliceReader::new(bytes)?;
    outer.sequence(|inner| {
        let tbs = inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        Ok(tbs)
    })
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
