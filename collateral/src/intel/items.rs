//! Intel's endpoints.

use reqwest::Url;
use x509_cert::Certificate;

use crate::config::{Config, IntelService};
use crate::crl::RevocationList;
use crate::error::CollateralError;
use crate::intel::answers::{
    QeIdentityAnswer, TcbAnswer, parse_qe_identity_answer, parse_tcb_answer,
};
use crate::intel::chain::{IssuerChain, parse_issuer_chain};
use crate::intel::pck::PckCa;
use crate::item::{Answer, Item, NotUsable, Refresh};
use crate::origin::Origin;
use crate::signed::INTEL;
use crate::window::Window;

/// Something signed, with who signed it.
pub(crate) struct Signed<T> {
    pub(crate) value: T,
    pub(crate) chain: IssuerChain,
}

const fn api(config: &Config) -> &Origin {
    match &config.intel {
        IntelService::Pcs { api, .. } => api,
        IntelService::Pccs(origin) => origin,
    }
}

/// `tcb`: levels of platforms of one kind.
pub(crate) struct TcbItem {
    pub(crate) fmspc: [u8; 6],
}

impl Item for TcbItem {
    type Value = Signed<TcbAnswer>;
    const WHAT: &'static str = "TDX TCB levels";
    const KIND: &'static str = "intel-tcb";
    const CAP: usize = 64 * 1024;
    const CHAIN_HEADERS: &'static [&'static str] =
        &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"];
    const REFRESH: Refresh = Refresh::HalfWay;

    fn identity(&self) -> String {
        hex::encode_upper(self.fmspc)
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        let fmspc = self.identity();
        api(config).at(&format!("/tdx/certification/v4/tcb?fmspc={fmspc}"))
    }

    fn accept(&self, answer: &Answer) -> Result<Self::Value, NotUsable> {
        let value = parse_tcb_answer(&answer.body)?;
        let chain = parse_issuer_chain(answer.issuer_chain()?)?;
        chain.signed(&value.tcb_info, &value.signature)?;
        if value.fmspc != self.fmspc {
            return Err(NotUsable("TCB levels of other platforms"));
        }
        Ok(Signed { value, chain })
    }

    fn window(signed: &Self::Value) -> Option<Window> {
        Some(signed.value.window)
    }
}

/// `qe/identity`: of the enclave that signs quotes.
pub(crate) struct QeIdentityItem;

impl Item for QeIdentityItem {
    type Value = Signed<QeIdentityAnswer>;
    const WHAT: &'static str = "the TDX quoting enclave's identity";
    const KIND: &'static str = "intel-qe";
    const CAP: usize = 16 * 1024;
    const CHAIN_HEADERS: &'static [&'static str] = &["SGX-Enclave-Identity-Issuer-Chain"];
    const REFRESH: Refresh = Refresh::HalfWay;

    fn identity(&self) -> String {
        String::new()
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        api(config).at("/tdx/certification/v4/qe/identity")
    }

    fn accept(&self, answer: &Answer) -> Result<Self::Value, NotUsable> {
        let value = parse_qe_identity_answer(&answer.body)?;
        let chain = parse_issuer_chain(answer.issuer_chain()?)?;
        chain.signed(&value.qe_identity, &value.signature)?;
        Ok(Signed { value, chain })
    }

    fn window(signed: &Self::Value) -> Option<Window> {
        Some(signed.value.window)
    }
}

/// `pckcrl`: what an authority of platforms has revoked.
pub(crate) struct PckCrlItem {
    pub(crate) ca: PckCa,
}

impl Item for PckCrlItem {
    type Value = Signed<RevocationList>;
    const WHAT: &'static str = "the revocation list of TDX platforms";
    const KIND: &'static str = "intel-pck-crl";
    const CAP: usize = 64 * 1024;
    const CHAIN_HEADERS: &'static [&'static str] = &["SGX-PCK-CRL-Issuer-Chain"];

    fn identity(&self) -> String {
        self.ca.name().to_owned()
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        let ca = self.ca;
        api(config).at(&format!(
            "/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"
        ))
    }

    fn accept(&self, answer: &Answer) -> Result<Self::Value, NotUsable> {
        let value = list(&answer.body)?;
        let chain = parse_issuer_chain(answer.issuer_chain()?)?;
        if PckCa::of_name(chain.signer().tbs_certificate().subject()) != Some(self.ca) {
            return Err(NotUsable("a list of another authority"));
        }
        value.issued_by(chain.signer(), INTEL)?;
        Ok(Signed { value, chain })
    }

    fn window(signed: &Self::Value) -> Option<Window> {
        Some(signed.value.window())
    }
}

/// What the root has revoked.
pub(crate) struct RootCrlItem<'a> {
    pub(crate) root: &'a Certificate,
}

impl Item for RootCrlItem<'_> {
    type Value = RevocationList;
    const WHAT: &'static str = "the revocation list of Intel's root";
    const KIND: &'static str = "intel-root-crl";
    const CAP: usize = 16 * 1024;

    fn identity(&self) -> String {
        String::new()
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        match &config.intel {
            IntelService::Pcs { certificates, .. } => certificates.at("/IntelSGXRootCA.der"),
            IntelService::Pccs(origin) => origin.at("/sgx/certification/v4/rootcacrl"),
        }
    }

    fn accept(&self, answer: &Answer) -> Result<RevocationList, NotUsable> {
        let value = list(&answer.body)?;
        value.issued_by(self.root, INTEL)?;
        Ok(value)
    }

    fn window(list: &RevocationList) -> Option<Window> {
        Some(list.window())
    }
}

/// DER, or hex of it, as a PCCS answers.
fn list(body: &[u8]) -> Result<RevocationList, NotUsable> {
    match hex::decode(body.trim_ascii()) {
        Ok(der) => RevocationList::parse(&der),
        Err(_) => RevocationList::parse(body),
    }
}
