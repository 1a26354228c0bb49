//! The simulated vendor: root, signer and chip keys with the certificates of AMD's shape.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair,
};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, BitString, Ia5String, OctetString};
use der::{Decode, Encode, Sequence};
use duckblind_protocol::ids::random_bytes;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use zeroize::Zeroizing;

use super::SimulatorError;
use crate::snp::certificate::PSS_SHA384;
use crate::snp::{Generation, Tcb, vek};

/// Stands in every certificate of a simulated platform, and in every program that can make one.
pub const MARKER: &str = "DUCKBLIND-SIMULATOR";
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const DAY: Duration = Duration::from_hours(24);
const AUTHORITY_DAYS: u32 = 20 * 365;
const CHIP_DAYS: u32 = 7 * 365;

/// A certificate before it is signed (RFC 5280, section 4.1).
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

/// What a chip key's certificate says of its chip.
#[derive(Clone, Debug)]
pub(crate) struct Chip {
    pub(crate) id: [u8; 64],
    pub(crate) tcb: Tcb,
}

impl Chip {
    /// A chip like no other.
    pub(crate) fn random(tcb: Tcb) -> Result<Self, SimulatorError> {
        let mut id = [0; 64];
        random_bytes(&mut id)?;
        Ok(Self { id, tcb })
    }
}

/// A chip key with its certificate.
pub(crate) struct ChipKey {
    pub(crate) certificate: Vec<u8>,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

/// Root (ARK) and signer (ASK).
pub(crate) struct Authority {
    ask: RsaKeyPair,
    pub(crate) ark_der: Vec<u8>,
    pub(crate) ask_der: Vec<u8>,
}

impl Authority {
    /// New keys; takes seconds. The root's key is dropped at once: it has signed all it ever will.
    pub(crate) fn generate() -> Result<Self, SimulatorError> {
        let ark = RsaKeyPair::generate(KeySize::Rsa4096)?;
        let ask = RsaKeyPair::generate(KeySize::Rsa4096)?;
        let key = |pair: &RsaKeyPair| {
            let der =
                AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
            Ok::<_, SimulatorError>(SubjectPublicKeyInfoOwned::from_der(der.as_ref())?)
        };
        let names = (name("ARK")?, name("SEV")?);
        let period = period(AUTHORITY_DAYS)?;
        let ark_der = issue(&ark, &names.0, &names.0, key(&ark)?, authority()?, period)?;
        let ask_der = issue(&ark, &names.0, &names.1, key(&ask)?, authority()?, period)?;
        Ok(Self {
            ask,
            ark_der,
            ask_der,
        })
    }

    /// A key for `chip`, of the generation that the simulator plays.
    pub(crate) fn chip_key(&self, chip: &Chip) -> Result<ChipKey, SimulatorError> {
        self.chip_key_with(chip_extensions(chip, super::GENERATION)?)
    }

    pub(crate) fn chip_key_with(
        &self,
        extensions: Vec<Extension>,
    ) -> Result<ChipKey, SimulatorError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
        let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
        let key = SubjectPublicKeyInfoOwned::from_der(public.as_ref())?;
        let (issuer, subject) = (name("SEV")?, name("SEV-VCEK")?);
        let period = period(CHIP_DAYS)?;
        Ok(ChipKey {
            certificate: issue(&self.ask, &issuer, &subject, key, extensions, period)?,
            pkcs8: Zeroizing::new(pair.to_pkcs8v1()?.as_ref().to_vec()),
        })
    }
}

fn name(common: &str) -> Result<Name, SimulatorError> {
    let text = format!("CN={common}-Simulated,O={MARKER},OU=Not for production");
    Ok(Name::from_str(&text)?)
}

/// From a day ago, so that clocks may differ.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates are made once, by a program on its own machine; nothing is judged by it"
)]
fn period(days: u32) -> Result<Validity, SimulatorError> {
    let start = SystemTime::now().checked_sub(DAY);
    let start = start.ok_or(SimulatorError::Crypto)?;
    let end = start.checked_add(DAY.saturating_mul(days));
    let end = end.ok_or(SimulatorError::Crypto)?;
    Ok(Validity::new(Time::try_from(start)?, Time::try_from(end)?))
}

fn extension(
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

fn authority() -> Result<Vec<Extension>, SimulatorError> {
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let basic = BasicConstraints {
        ca: true,
        path_len_constraint: None,
    };
    Ok(vec![
        extension(KeyUsage::OID, true, usage.to_der()?)?,
        extension(BasicConstraints::OID, true, basic.to_der()?)?,
    ])
}

/// The extensions of a VCEK.
pub(crate) fn chip_extensions(
    chip: &Chip,
    generation: Generation,
) -> Result<Vec<Extension>, SimulatorError> {
    let product = match generation {
        Generation::Milan => "Milan-B0",
        Generation::Genoa => "Genoa",
        Generation::Turin => "Turin",
    };
    let hw_id = chip
        .id
        .iter()
        .copied()
        .take(generation.hw_id_len())
        .collect();
    let mut numbers = vec![
        (vek::STRUCT_VERSION, generation.struct_version()),
        (vek::BOOTLOADER, chip.tcb.bootloader),
        (vek::TEE, chip.tcb.tee),
        (vek::SNP, chip.tcb.snp),
        (vek::MICROCODE, chip.tcb.microcode),
    ];
    numbers.extend(chip.tcb.fmc.map(|fmc| (vek::FMC, fmc)));
    let mut all = vec![
        extension(vek::PRODUCT, false, Ia5String::new(product)?.to_der()?)?,
        extension(vek::HW_ID, false, hw_id)?,
    ];
    for (oid, number) in numbers {
        all.push(extension(oid, false, number.to_der()?)?);
    }
    Ok(all)
}

fn issue(
    by: &RsaKeyPair,
    issuer: &Name,
    subject: &Name,
    key: SubjectPublicKeyInfoOwned,
    extensions: Vec<Extension>,
    validity: Validity,
) -> Result<Vec<u8>, SimulatorError> {
    let algorithm = AlgorithmIdentifierOwned {
        oid: RSASSA_PSS,
        parameters: Some(Any::from_der(&PSS_SHA384)?),
    };
    let mut serial = [0; 16];
    random_bytes(&mut serial)?;
    let tbs = Unsigned {
        version: 2,
        serial: SerialNumber::new(&serial)?,
        signature: algorithm.clone(),
        issuer: issuer.clone(),
        validity,
        subject: subject.clone(),
        key,
        extensions,
    }
    .to_der()?;
    let mut signature = vec![0; by.public_modulus_len()];
    by.sign(&RSA_PSS_SHA384, &SystemRandom::new(), &tbs, &mut signature)?;
    let certificate = Signed {
        tbs: Any::from_der(&tbs)?,
        algorithm,
        signature: BitString::from_bytes(&signature)?,
    };
    Ok(certificate.to_der()?)
}
