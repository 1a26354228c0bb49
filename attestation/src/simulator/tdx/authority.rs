//! The simulated Intel: root, platform authority and the signer of what is said of platforms.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use const_oid::AssociatedOid as _;
use der::Encode as _;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use zeroize::Zeroizing;

use super::super::x509::{
    Issuer as _, LONG_DAYS, Subject, authority, extension, name, period, public_key,
};
use super::{Documents, Machine, SimulatorError};
use crate::evidence::TdxCollateral;

/// Common names, as in Intel's certificates.
pub(super) const ROOT: &str = "Intel SGX Root CA";
pub(super) const PLATFORM_CA: &str = "Intel SGX PCK Platform CA";
const TCB_SIGNER: &str = "Intel SGX TCB Signing";
const PCK: &str = "Intel SGX PCK Certificate";
/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// Everything that Intel holds. The keys live as long as this value and are written nowhere.
pub(crate) struct Authority {
    root: EcdsaKeyPair,
    platform_ca: EcdsaKeyPair,
    tcb_signer: EcdsaKeyPair,
    pub(crate) root_der: Vec<u8>,
    platform_ca_der: Vec<u8>,
    tcb_signer_der: Vec<u8>,
}

/// A machine's key (PCK) with its certificates, the machine's first, the root last, PEM.
pub(crate) struct MachineKey {
    pub(crate) chain: String,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

impl Authority {
    /// New keys.
    pub(crate) fn generate() -> Result<Self, SimulatorError> {
        let root = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let platform_ca = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let tcb_signer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let certificate = |common, key: &EcdsaKeyPair, extensions| {
            let subject = Subject {
                name: name(common)?,
                key: key.public()?,
                validity: period(LONG_DAYS)?,
                extensions,
            };
            subject.issued_by(&name(ROOT)?, &root)
        };
        Ok(Self {
            root_der: certificate(ROOT, &root, authority(Some(1))?)?,
            platform_ca_der: certificate(PLATFORM_CA, &platform_ca, authority(Some(0))?)?,
            tcb_signer_der: certificate(TCB_SIGNER, &tcb_signer, no_authority()?)?,
            root,
            platform_ca,
            tcb_signer,
        })
    }

    /// A new key for `machine`.
    pub(crate) fn machine_key(&self, machine: &Machine) -> Result<MachineKey, SimulatorError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let mut extensions = no_authority()?;
        extensions.push(machine.extension()?);
        let subject = Subject {
            name: name(PCK)?,
            key: public_key(pair.public_key())?,
            validity: period(LONG_DAYS)?,
            extensions,
        };
        let certificate = subject.issued_by(&name(PLATFORM_CA)?, &self.platform_ca)?;
        Ok(MachineKey {
            chain: [&certificate, &self.platform_ca_der, &self.root_der]
                .map(pem)
                .concat(),
            pkcs8: Zeroizing::new(pair.to_pkcs8v1()?.as_ref().to_vec()),
        })
    }

    /// Signs `documents` as they are, whatever they say.
    pub(crate) fn collateral(
        &self,
        documents: &Documents,
    ) -> Result<TdxCollateral, SimulatorError> {
        let platform_chain = [&self.platform_ca_der, &self.root_der].map(pem).concat();
        let tcb_chain = [&self.tcb_signer_der, &self.root_der].map(pem).concat();
        let tcb_info = documents.tcb_info.to_string();
        let qe_identity = documents.qe_identity.to_string();
        Ok(TdxCollateral {
            pck_crl_issuer_chain: platform_chain,
            root_ca_crl: documents.root_crl.signed_by(&self.root)?,
            pck_crl: documents.pck_crl.signed_by(&self.platform_ca)?,
            tcb_info_issuer_chain: tcb_chain.clone(),
            tcb_info_signature: self.sign(&tcb_info)?,
            tcb_info,
            qe_identity_issuer_chain: tcb_chain,
            qe_identity_signature: self.sign(&qe_identity)?,
            qe_identity,
            // Quotes of this simulator carry it.
            pck_certificate_chain: None,
        })
    }

    fn sign(&self, document: &str) -> Result<Vec<u8>, SimulatorError> {
        let signature = self
            .tcb_signer
            .sign(&SystemRandom::new(), document.as_bytes())?;
        Ok(signature.as_ref().to_vec())
    }
}

/// The extensions of a key that signs anything but certificates.
fn no_authority() -> Result<Vec<Extension>, SimulatorError> {
    let usage = KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation);
    let basic = BasicConstraints {
        ca: false,
        path_len_constraint: None,
    };
    Ok(vec![
        extension(KeyUsage::OID, true, usage.to_der()?)?,
        extension(BasicConstraints::OID, true, basic.to_der()?)?,
    ])
}

/// A certificate as text.
fn pem(der: &Vec<u8>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at % PEM_LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}
