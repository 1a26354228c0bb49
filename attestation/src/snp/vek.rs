//! What the certificate of a report's key says of chip or cloud, and of firmware (AMD "VCEK
//! Certificate and KDS Interface Specification" and its VLEK counterpart, X.509 extensions under
//! 1.3.6.1.4.1.3704.1).

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::Ia5StringRef;

use crate::snp::certificate::Certificate;
use crate::snp::report::SigningKey;
use crate::snp::{Generation, Tcb};

/// Version of this set of extensions.
pub const STRUCT_VERSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.1");
/// Product name.
pub const PRODUCT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.2");
/// Bootloader.
pub const BOOTLOADER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
/// Trusted OS.
pub const TEE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
/// SNP firmware.
pub const SNP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
/// Microcode.
pub const MICROCODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
/// Firmware mediation component.
pub const FMC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");
/// Chip id.
pub const HW_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
/// Cloud.
pub const CSP_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.5");

/// An extension that is missing or does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("extension {0} is missing or malformed")]
pub struct BadExtension(pub ObjectIdentifier);

/// Who holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One chip (VCEK): its id, without the zeros that follow it in a report.
    Chip(Vec<u8>),
    /// A cloud, for many chips (VLEK): AMD's name for it, such as `CN=cc-us-east-2.amazonaws.com`.
    Cloud(String),
}

/// The extensions of the certificate of a key that signs reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VekClaims {
    /// See [`Generation::struct_version`].
    pub struct_version: u8,
    /// Such as `Milan-B0`.
    pub product: String,
    /// From the product name.
    pub generation: Generation,
    /// Firmware that the key is derived from.
    pub tcb: Tcb,
    /// The chip or the cloud.
    pub holder: Holder,
}

impl VekClaims {
    /// Reads the extensions.
    pub fn read(certificate: &Certificate) -> Result<Self, BadExtension> {
        let product = product(certificate).ok_or(BadExtension(PRODUCT))?;
        let generation = Generation::of_product(&product).ok_or(BadExtension(PRODUCT))?;
        let fmc = match generation {
            Generation::Milan | Generation::Genoa => None,
            Generation::Turin => Some(number(certificate, FMC)?),
        };
        Ok(Self {
            struct_version: number(certificate, STRUCT_VERSION)?,
            product,
            generation,
            tcb: Tcb {
                fmc,
                bootloader: number(certificate, BOOTLOADER)?,
                tee: number(certificate, TEE)?,
                snp: number(certificate, SNP)?,
                microcode: number(certificate, MICROCODE)?,
            },
            holder: holder(certificate, generation)?,
        })
    }

    /// The kind of key.
    pub const fn kind(&self) -> SigningKey {
        match self.holder {
            Holder::Chip(_) => SigningKey::Vcek,
            Holder::Cloud(_) => SigningKey::Vlek,
        }
    }

    /// The chip, if it is one's.
    pub fn hw_id(&self) -> Option<&[u8]> {
        match &self.holder {
            Holder::Chip(id) => Some(id),
            Holder::Cloud(_) => None,
        }
    }

    /// The cloud, if it is one's.
    pub fn csp_id(&self) -> Option<&str> {
        match &self.holder {
            Holder::Chip(_) => None,
            Holder::Cloud(name) => Some(name),
        }
    }

    /// Whether it is the key of the chip that a report names.
    pub fn is_chip(&self, chip_id: &[u8; 64]) -> bool {
        self.hw_id().is_some_and(|own| {
            let rest = chip_id.strip_prefix(own);
            rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
                && own.iter().any(|byte| *byte != 0)
        })
    }
}

fn number(certificate: &Certificate, oid: ObjectIdentifier) -> Result<u8, BadExtension> {
    certificate
        .extension(oid)
        .and_then(|der| u8::from_der(der).ok())
        .ok_or(BadExtension(oid))
}

fn product(certificate: &Certificate) -> Option<String> {
    text(certificate.extension(PRODUCT)?)
}

fn text(der: &[u8]) -> Option<String> {
    Some(Ia5StringRef::from_der(der).ok()?.as_str().to_owned())
}

/// One or the other: a certificate that speaks for both, or for neither, is of neither kind.
fn holder(certificate: &Certificate, generation: Generation) -> Result<Holder, BadExtension> {
    match (certificate.extension(HW_ID), certificate.extension(CSP_ID)) {
        (Some(id), None) => hw_id(id, generation)
            .map(Holder::Chip)
            .ok_or(BadExtension(HW_ID)),
        (None, Some(name)) => text(name).map(Holder::Cloud).ok_or(BadExtension(CSP_ID)),
        (None, None) => Err(BadExtension(HW_ID)),
        (Some(_), Some(_)) => Err(BadExtension(CSP_ID)),
    }
}

/// Plain bytes, or wrapped in one more OCTET STRING: both are in the field.
fn hw_id(bytes: &[u8], generation: Generation) -> Option<Vec<u8>> {
    let len = generation.hw_id_len();
    let bytes = if bytes.len() == len {
        bytes
    } else {
        bytes.strip_prefix(&[4, u8::try_from(len).ok()?])?
    };
    (bytes.len() == len).then(|| bytes.to_vec())
}
