//! Intel's word on a TDX platform: TCB levels, quoting enclave, revocation lists, each with the
//! certificates that sign it (Intel PCS API, version 4).

use dcap_qvl::QuoteCollateralV3;
use minicbor::{Decode, Encode};

use crate::evidence::MAX_COLLATERAL;

/// Bytes that collateral in JSON may have: binary parts are in hexadecimal digits, quotes escaped.
const MAX_JSON: usize = 2 * MAX_COLLATERAL;

/// Why JSON is no collateral.
#[derive(Debug, thiserror::Error)]
pub enum CollateralError {
    /// More bytes than collateral may have.
    #[error("{0} bytes of collateral")]
    TooLong(usize),
    /// Not JSON, or not of the right form.
    #[error("not TDX collateral in JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// All that is needed to judge a quote without a network. Signed parts are as Intel served them,
/// byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TdxCollateral {
    /// Signer of `pck_crl` and the root, PEM.
    #[n(1)]
    pub pck_crl_issuer_chain: String,
    /// What the root has revoked, DER.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub root_ca_crl: Vec<u8>,
    /// What the signer of platform certificates has revoked, DER.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub pck_crl: Vec<u8>,
    /// Signer of `tcb_info` and the root, PEM.
    #[n(4)]
    pub tcb_info_issuer_chain: String,
    /// The `tcbInfo` member of Intel's answer, JSON.
    #[n(5)]
    pub tcb_info: String,
    /// ECDSA P-256 over it, r ‖ s.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub tcb_info_signature: Vec<u8>,
    /// Signer of `qe_identity` and the root, PEM.
    #[n(7)]
    pub qe_identity_issuer_chain: String,
    /// The `enclaveIdentity` member of Intel's answer, JSON.
    #[n(8)]
    pub qe_identity: String,
    /// ECDSA P-256 over it, r ‖ s.
    #[n(9)]
    #[cbor(with = "minicbor::bytes")]
    pub qe_identity_signature: Vec<u8>,
    /// Certificates of the platform's key, PEM, for quotes that do not carry them.
    #[n(10)]
    pub pck_certificate_chain: Option<String>,
}

impl TdxCollateral {
    /// From the JSON that fetchers of collateral write: members as the fields here, texts as they
    /// are, binary parts as hexadecimal digits.
    pub fn from_json(json: &[u8]) -> Result<Self, CollateralError> {
        if json.len() > MAX_JSON {
            return Err(CollateralError::TooLong(json.len()));
        }
        let collateral = Self::from(serde_json::from_slice::<QuoteCollateralV3>(json)?);
        match collateral.len() {
            len if len > MAX_COLLATERAL => Err(CollateralError::TooLong(len)),
            _ => Ok(collateral),
        }
    }

    /// As [`Self::from_json`] reads it.
    pub fn to_json(&self) -> Result<String, CollateralError> {
        Ok(serde_json::to_string(&QuoteCollateralV3::from(self))?)
    }

    /// Bytes of all parts.
    pub(crate) fn len(&self) -> usize {
        let texts = [
            &self.pck_crl_issuer_chain,
            &self.tcb_info_issuer_chain,
            &self.tcb_info,
            &self.qe_identity_issuer_chain,
            &self.qe_identity,
        ];
        let blobs = [
            &self.root_ca_crl,
            &self.pck_crl,
            &self.tcb_info_signature,
            &self.qe_identity_signature,
        ];
        let chain = self.pck_certificate_chain.as_ref().map_or(0, String::len);
        texts
            .into_iter()
            .map(String::len)
            .chain(blobs.into_iter().map(Vec::len))
            .fold(chain, usize::saturating_add)
    }
}

impl From<QuoteCollateralV3> for TdxCollateral {
    fn from(other: QuoteCollateralV3) -> Self {
        Self {
            pck_crl_issuer_chain: other.pck_crl_issuer_chain,
            root_ca_crl: other.root_ca_crl,
            pck_crl: other.pck_crl,
            tcb_info_issuer_chain: other.tcb_info_issuer_chain,
            tcb_info: other.tcb_info,
            tcb_info_signature: other.tcb_info_signature,
            qe_identity_issuer_chain: other.qe_identity_issuer_chain,
            qe_identity: other.qe_identity,
            qe_identity_signature: other.qe_identity_signature,
            pck_certificate_chain: other.pck_certificate_chain,
        }
    }
}

impl From<&TdxCollateral> for QuoteCollateralV3 {
    fn from(other: &TdxCollateral) -> Self {
        Self {
            pck_crl_issuer_chain: other.pck_crl_issuer_chain.clone(),
            root_ca_crl: other.root_ca_crl.clone(),
            pck_crl: other.pck_crl.clone(),
            tcb_info_issuer_chain: other.tcb_info_issuer_chain.clone(),
            tcb_info: other.tcb_info.clone(),
            tcb_info_signature: other.tcb_info_signature.clone(),
            qe_identity_issuer_chain: other.qe_identity_issuer_chain.clone(),
            qe_identity: other.qe_identity.clone(),
            qe_identity_signature: other.qe_identity_signature.clone(),
            pck_certificate_chain: other.pck_certificate_chain.clone(),
        }
    }
}
