//! Certificates of the simulated vendors (RFC 5280, section 4.1).

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, BitString, OctetString};
use der::{Decode, Encode, Sequence};
use duckblind_protocol::ids::random_bytes;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::SimulatorError;
use crate::snp::signed::PSS_SHA384;

/// Stands in every certificate of a simulated platform, and in every program that can make one.
pub const MARKER: &str = "DUCKBLIND-SIMULATOR";
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const DAY: Duration = Duration::from_hours(24);
/// Authorities, their signers and what they say of platforms.
pub(super) const LONG_DAYS: u32 = 20 * 365;
/// Keys of one platform.
pub(super) const PLATFORM_DAYS: u32 = 7 * 365;

/// A certificate before it is signed.
#[derive(Sequence)]
struct Unsigned {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Signed {
    tbs: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// A key that signs certificates and revocation lists.
pub(super) trait Issuer {
    fn algorithm(&self) -> Result<AlgorithmIdentifierOwned, SimulatorError>;
    fn public(&self) -> Result<SubjectPublicKeyInfoOwned, SimulatorError>;
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SimulatorError>;
}

/// As AMD signs: RSASSA-PSS with SHA-384.
impl Issuer for RsaKeyPair {
    fn algorithm(&self) -> Result<AlgorithmIdentifierOwned, SimulatorError> {
        Ok(AlgorithmIdentifierOwned {
            oid: RSASSA_PSS,
            parameters: Some(Any::from_der(&PSS_SHA384)?),
        })
    }

    fn public(&self) -> Result<SubjectPublicKeyInfoOwned, SimulatorError> {
        public_key(self.public_key())
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SimulatorError> {
        let mut signature = vec![0; self.public_modulus_len()];
        self.sign(
            &RSA_PSS_SHA384,
            &SystemRandom::new(),
            message,
            &mut signature,
        )?;
        Ok(signature)
    }
}

/// As Intel signs: ECDSA P-256 with SHA-256, for pairs whose signatures are ASN.1.
impl Issuer for EcdsaKeyPair {
    fn algorithm(&self) -> Result<AlgorithmIdentifierOwned, SimulatorError> {
        Ok(AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        })
    }

    fn public(&self) -> Result<SubjectPublicKeyInfoOwned, SimulatorError> {
        public_key(self.public_key())
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SimulatorError> {
        Ok(self.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
    }
}

/// A public key as certificates carry it.
pub(super) fn public_key(
    key: &impl AsDer<PublicKeyX509Der<'static>>,
) -> Result<SubjectPublicKeyInfoOwned, SimulatorError> {
    Ok(SubjectPublicKeyInfoOwned::from_der(key.as_der()?.as_ref())?)
}

/// What a certificate says, apart from who says it.
pub(super) struct Subject {
    pub(super) name: Name,
    pub(super) key: SubjectPublicKeyInfoOwned,
    pub(super) validity: Validity,
    pub(super) extensions: Vec<Extension>,
}

impl Subject {
    /// DER of a certificate with a random serial number.
    pub(super) fn issued_by(
        self,
        issuer: &Name,
        key: &impl Issuer,
    ) -> Result<Vec<u8>, SimulatorError> {
        let mut serial = [0; 16];
        random_bytes(&mut serial)?;
        let tbs = Unsigned {
            version: 2,
            serial: SerialNumber::new(&serial)?,
            signature: key.algorithm()?,
            issuer: issuer.clone(),
            validity: self.validity,
            subject: self.name,
            key: self.key,
            extensions: self.extensions,
        };
        signed(&tbs.to_der()?, key)
    }
}

/// Appends algorithm and signature, as certificates and revocation lists have them.
pub(super) fn signed(tbs: &[u8], key: &impl Issuer) -> Result<Vec<u8>, SimulatorError> {
    let signed = Signed {
        tbs: Any::from_der(tbs)?,
        algorithm: key.algorithm()?,
        signature: BitString::from_bytes(&key.signature(tbs)?)?,
    };
    Ok(signed.to_der()?)
}

/// The name of a simulated vendor's `common`.
pub(super) fn name(common: &str) -> Result<Name, SimulatorError> {
    let text = format!("CN={common}-Simulated,O={MARKER},OU=Not for production");
    Ok(Name::from_str(&text)?)
}

/// From a day ago, so that clocks may differ.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates are made once, by a program on its own machine; nothing is judged by it"
)]
pub(super) fn period(days: u32) -> Result<Validity, SimulatorError> {
    let start = SystemTime::now().checked_sub(DAY);
    let start = start.ok_or(SimulatorError::Crypto)?;
    let end = start.checked_add(DAY.saturating_mul(days));
    let end = end.ok_or(SimulatorError::Crypto)?;
    Ok(Validity::new(Time::try_from(start)?, Time::try_from(end)?))
}

/// One extension around its content.
pub(super) fn extension(
    oid: ObjectIdentifier,
    critical: bool,
    content: Vec<u8>,
) -> Result<Extension, SimulatorError> {
    Ok(Extension {
        extn_id: oid,
        critical,
        extn_value: OctetString::new(content)?,
    })
}

/// The extensions of an authority.
pub(super) fn authority(path_len: Option<u8>) -> Result<Vec<Extension>, SimulatorError> {
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let basic = BasicConstraints {
        ca: true,
        path_len_constraint: path_len,
    };
    Ok(vec![
        extension(KeyUsage::OID, true, usage.to_der()?)?,
        extension(BasicConstraints::OID, true, basic.to_der()?)?,
    ])
}
