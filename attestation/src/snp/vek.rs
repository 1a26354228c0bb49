//! What a chip key's certificate says of chip and firmware (AMD "VCEK Certificate and KDS
//! Interface Specification", X.509 extensions under 1.3.6.1.4.1.3704.1).

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::Ia5StringRef;

use crate::snp::certificate::Certificate;
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

/// An extension that is missing or does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("extension {0} is missing or malformed")]
pub struct BadExtension(pub ObjectIdentifier);

/// The extensions of a VCEK's certificate.
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
    /// The chip.
    pub hw_id: Vec<u8>,
}

impl VekClaims {
    /// Reads the extensions of a VCEK's certificate.
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
            hw_id: hw_id(certificate, generation).ok_or(BadExtension(HW_ID))?,
        })
    }

    /// Whether it names the chip that a report names.
    pub fn is_chip(&self, chip_id: &[u8; 64]) -> bool {
        chip_id
            .strip_prefix(self.hw_id.as_slice())
            .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
            && self.hw_id.iter().any(|byte| *byte != 0)
    }
}

fn number(certificate: &Certificate, oid: ObjectIdentifier) -> Result<u8, BadExtension> {
    certificate
        .extension(oid)
        .and_then(|der| u8::from_der(der).ok())
        .ok_or(BadExtension(oid))
}

fn product(certificate: &Certificate) -> Option<String> {
    let der = certificate.extension(PRODUCT)?;
    let text = Ia5StringRef::from_der(der).ok()?;
    Some(text.as_str().to_owned())
}

/// Plain bytes, or wrapped in one more OCTET STRING: both are in the field.
fn hw_id(certificate: &Certificate, generation: Generation) -> Option<Vec<u8>> {
    let bytes = certificate.extension(HW_ID)?;
    let len = generation.hw_id_len();
    let bytes = if bytes.len() == len {
        bytes
    } else {
        bytes.strip_prefix(&[4, u8::try_from(len).ok()?])?
    };
    (bytes.len() == len).then(|| bytes.to_vec())
}
