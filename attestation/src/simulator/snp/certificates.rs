//! The simulated AMD: root, signer and chip keys with the certificates of AMD's shape.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair,
};
use der::Encode as _;
use der::asn1::Ia5String;
use duckblind_protocol::ids::random_bytes;
use x509_cert::ext::Extension;
use zeroize::Zeroizing;

use super::super::revocation::RevocationList;
use super::super::x509::{
    Issuer as _, LONG_DAYS, PLATFORM_DAYS, Subject, authority, extension, name, period, public_key,
};
use super::SimulatorError;
use crate::snp::{Generation, Tcb, vek};

/// Common names, as in AMD's certificates.
const ARK: &str = "ARK";
const ASK: &str = "SEV";
const VCEK: &str = "SEV-VCEK";
#[cfg(test)]
const ASVK: &str = "SEV-VLEK";
#[cfg(test)]
const VLEK: &str = "SEV-VLEK-Key";

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

/// A key that signs reports, with its certificate.
pub(crate) struct ChipKey {
    pub(crate) certificate: Vec<u8>,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

/// Root (ARK) and signer (ASK). Their keys live as long as this value and are written nowhere.
pub(crate) struct Authority {
    ark: RsaKeyPair,
    ask: RsaKeyPair,
    pub(crate) ark_der: Vec<u8>,
    pub(crate) ask_der: Vec<u8>,
}

impl Authority {
    /// New keys; takes seconds.
    pub(crate) fn generate() -> Result<Self, SimulatorError> {
        let ark = RsaKeyPair::generate(KeySize::Rsa4096)?;
        let ask = RsaKeyPair::generate(KeySize::Rsa4096)?;
        Ok(Self {
            ark_der: authority_of(ARK, &ark, &ark)?,
            ask_der: authority_of(ASK, &ask, &ark)?,
            ark,
            ask,
        })
    }

    /// The root's first revocation list, long valid and with nothing in it, not yet signed.
    pub(crate) fn first_list() -> Result<RevocationList, SimulatorError> {
        RevocationList::first(ARK)
    }

    /// `list` in DER, signed by the root whatever it says.
    pub(crate) fn crl(&self, list: &RevocationList) -> Result<Vec<u8>, SimulatorError> {
        list.signed_by(&self.ark)
    }

    /// A key for `chip`, of the generation that the simulator plays.
    pub(crate) fn chip_key(&self, chip: &Chip) -> Result<ChipKey, SimulatorError> {
        self.chip_key_with(chip_extensions(chip, super::GENERATION)?)
    }

    pub(crate) fn chip_key_with(
        &self,
        extensions: Vec<Extension>,
    ) -> Result<ChipKey, SimulatorError> {
        signing_key(VCEK, extensions, ASK, &self.ask)
    }

    /// A signer of keys for clouds; takes seconds.
    #[cfg(test)]
    pub(crate) fn cloud(&self) -> Result<CloudAuthority, SimulatorError> {
        let asvk = RsaKeyPair::generate(KeySize::Rsa4096)?;
        Ok(CloudAuthority {
            asvk_der: authority_of(ASVK, &asvk, &self.ark)?,
            asvk,
        })
    }
}

/// The signer (ASVK) of keys that AMD gives to clouds (VLEK).
#[cfg(test)]
pub(crate) struct CloudAuthority {
    asvk: RsaKeyPair,
    pub(crate) asvk_der: Vec<u8>,
}

#[cfg(test)]
impl CloudAuthority {
    /// A key of the cloud `csp_id` for machines with firmware `tcb`: its certificate names no chip.
    pub(super) fn key(&self, csp_id: &str, tcb: Tcb) -> Result<ChipKey, SimulatorError> {
        let chip = Chip { id: [0; 64], tcb };
        let mut extensions = chip_extensions(&chip, super::GENERATION)?;
        extensions.retain(|extension| extension.extn_id != vek::HW_ID);
        let csp_id = Ia5String::new(csp_id)?.to_der()?;
        extensions.push(extension(vek::CSP_ID, false, csp_id)?);
        signing_key(VLEK, extensions, ASVK, &self.asvk)
    }
}

/// The certificate of an authority, signed by the root.
fn authority_of(
    common: &str,
    key: &RsaKeyPair,
    ark: &RsaKeyPair,
) -> Result<Vec<u8>, SimulatorError> {
    let subject = Subject {
        name: name(common)?,
        key: key.public()?,
        validity: period(LONG_DAYS)?,
        extensions: authority(None)?,
    };
    subject.issued_by(&name(ARK)?, ark)
}

/// A new key that signs reports.
fn signing_key(
    common: &str,
    extensions: Vec<Extension>,
    issuer: &str,
    by: &RsaKeyPair,
) -> Result<ChipKey, SimulatorError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
    let subject = Subject {
        name: name(common)?,
        key: public_key(pair.public_key())?,
        validity: period(PLATFORM_DAYS)?,
        extensions,
    };
    Ok(ChipKey {
        certificate: subject.issued_by(&name(issuer)?, by)?,
        pkcs8: Zeroizing::new(pair.to_pkcs8v1()?.as_ref().to_vec()),
    })
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
