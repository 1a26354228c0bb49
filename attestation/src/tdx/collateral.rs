//! Intel's word on a TDX platform: TCB levels, quoting enclave, revocation lists, each with the
//! certificates that sign it (Intel PCS API, version 4).

use minicbor::{Decode, Encode};

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
