//! The quoting enclave: a key of each boot, certified by the machine's key, that signs quotes.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use dcap_qvl::quote::{EnclaveReport, TDReport10};
use duckblind_protocol::ids::Digest;

use super::super::MARKER;
use super::SimulatorError;
use super::quote::{self, Certification};

/// `INIT`, `MODE64BIT`, `PROVISION_KEY`; processor state as on real machines.
const ATTRIBUTES: [u8; 16] = [0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0];
/// Number of Intel's TD quoting enclave.
pub(super) const ISV_PROD_ID: u16 = 2;
/// Its version.
pub(super) const ISV_SVN: u16 = 6;
/// What Intel's writes beside its key.
const AUTHENTICATION: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

/// Who signed the quoting enclave.
pub(super) fn mr_signer() -> Digest {
    Digest::of(MARKER.as_bytes())
}

/// One boot of it.
pub(super) struct QuotingEnclave {
    key: EcdsaKeyPair,
    public: [u8; 64],
    certification: Certification,
    /// Names the machine in the quote's header.
    id: [u8; 16],
}

impl QuotingEnclave {
    /// With a new key, certified by the machine's key `pck` of `chain` (PEM).
    pub(super) fn certified_by(pck: &EcdsaKeyPair, chain: &str) -> Result<Self, SimulatorError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        // Without the byte that says "uncompressed".
        let public = key.public_key().as_ref().split_first();
        let public = public.and_then(|(_, point)| point.try_into().ok());
        let public: [u8; 64] = public.ok_or(SimulatorError::Crypto)?;
        let report = quote::enclave_report(&report(&public));
        let signature = pck.sign(&SystemRandom::new(), &report)?;
        let digest = Digest::of(chain.as_bytes());
        let id = digest.as_bytes().first_chunk();
        let id = *id.ok_or(SimulatorError::Crypto)?;
        Ok(Self {
            key,
            public,
            certification: Certification {
                report,
                signature: signature.as_ref().to_vec(),
                authentication: AUTHENTICATION,
                chain: chain.to_owned(),
            },
            id,
        })
    }

    /// A quote over `report`.
    pub(super) fn quote(&self, report: &TDReport10) -> Result<Vec<u8>, Unspecified> {
        let signed = quote::signed_part(&self.id, report);
        let signature = self.key.sign(&SystemRandom::new(), &signed)?;
        Ok(quote::whole(
            signed,
            signature.as_ref(),
            &self.public,
            &self.certification,
        ))
    }
}

/// The quoting enclave's own report, over its key.
fn report(public: &[u8; 64]) -> EnclaveReport {
    let mut report_data = [0; 64];
    let digest = Digest::of(&[&public[..], &AUTHENTICATION].concat());
    for (to, from) in report_data.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    EnclaveReport {
        cpu_svn: [0; 16],
        misc_select: 0,
        reserved1: [0; 28],
        attributes: ATTRIBUTES,
        mr_enclave: *Digest::of(b"simulated quoting enclave").as_bytes(),
        reserved2: [0; 32],
        mr_signer: *mr_signer().as_bytes(),
        reserved3: [0; 96],
        isv_prod_id: ISV_PROD_ID,
        isv_svn: ISV_SVN,
        reserved4: [0; 60],
        report_data,
    }
}
