//! A quote's bytes (Intel "TDX DCAP Quoting Library API", appendix A.3: version 4), written front
//! to back.

use dcap_qvl::INTEL_QE_VENDOR_ID;
use dcap_qvl::quote::{EnclaveReport, TDReport10};

const VERSION: u16 = 4;
/// ECDSA with P-256.
const KEY_TYPE: u16 = 2;
const TEE_TDX: u32 = 0x81;
/// The quoting enclave's report and what certifies it.
const CERTIFICATION_QE_REPORT: u16 = 6;
/// Certificates, PEM.
const CERTIFICATION_CHAIN: u16 = 5;

/// What certifies the key of a quote.
pub(super) struct Certification {
    /// The quoting enclave's report, over the key.
    pub(super) report: Vec<u8>,
    /// The machine's key over `report`.
    pub(super) signature: Vec<u8>,
    /// Goes into the report beside the key.
    pub(super) authentication: [u8; 32],
    /// Certificates of the machine's key, PEM.
    pub(super) chain: String,
}

/// Header and report: what the quote's key signs.
pub(super) fn signed_part(qe_id: &[u8; 16], report: &TDReport10) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(VERSION.to_le_bytes());
    out.extend(KEY_TYPE.to_le_bytes());
    out.extend(TEE_TDX.to_le_bytes());
    // Versions of quoting and provisioning enclave in version 3; reserved since.
    out.extend([0; 4]);
    out.extend(INTEL_QE_VENDOR_ID);
    out.extend(qe_id);
    out.extend([0; 4]);
    out.extend(report.tee_tcb_svn);
    out.extend(report.mr_seam);
    out.extend(report.mr_signer_seam);
    out.extend(report.seam_attributes);
    out.extend(report.td_attributes);
    out.extend(report.xfam);
    out.extend(report.mr_td);
    out.extend(report.mr_config_id);
    out.extend(report.mr_owner);
    out.extend(report.mr_owner_config);
    out.extend(report.rt_mr0);
    out.extend(report.rt_mr1);
    out.extend(report.rt_mr2);
    out.extend(report.rt_mr3);
    out.extend(report.report_data);
    out
}

/// The quoting enclave's report: what the machine's key signs.
pub(super) fn enclave_report(report: &EnclaveReport) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(report.cpu_svn);
    out.extend(report.misc_select.to_le_bytes());
    out.extend(report.reserved1);
    out.extend(report.attributes);
    out.extend(report.mr_enclave);
    out.extend(report.reserved2);
    out.extend(report.mr_signer);
    out.extend(report.reserved3);
    out.extend(report.isv_prod_id.to_le_bytes());
    out.extend(report.isv_svn.to_le_bytes());
    out.extend(report.reserved4);
    out.extend(report.report_data);
    out
}

/// The whole quote: the signed part, then each thing that vouches for the one before.
pub(super) fn whole(
    mut signed: Vec<u8>,
    signature: &[u8],
    key: &[u8; 64],
    certification: &Certification,
) -> Vec<u8> {
    let mut chain = certification.chain.clone().into_bytes();
    // Intel's library counts the end of its C string.
    chain.push(0);
    let mut certified = Vec::new();
    certified.extend(&certification.report);
    certified.extend(&certification.signature);
    certified.extend(len16(&certification.authentication));
    certified.extend(certification.authentication);
    certified.extend(CERTIFICATION_CHAIN.to_le_bytes());
    certified.extend(len32(&chain));
    certified.extend(chain);

    let mut signatures = Vec::new();
    signatures.extend(signature);
    signatures.extend(key);
    signatures.extend(CERTIFICATION_QE_REPORT.to_le_bytes());
    signatures.extend(len32(&certified));
    signatures.extend(certified);

    signed.extend(len32(&signatures));
    signed.extend(signatures);
    signed
}

fn len16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes()
}

fn len32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}
