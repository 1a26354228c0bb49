//! What AMD's Key Distribution Service has (AMD document 57230, "Versioned Chip Endorsement Key
//! (VCEK) Certificate and KDS Interface Specification"): chip certificates, the chain above them,
//! and what the root has revoked.

use der::Decode as _;
use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::snp::{Generation, SignatureCache, Tcb};
use duckblind_protocol::ids::Digest;
use reqwest::Url;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::Config;
use crate::crl::RevocationList;
use crate::error::CollateralError;
use crate::item::{Answer, Item, NotUsable};
use crate::signed::AMD;
use crate::window::Window;

/// Keys of one kind, of one generation: they have one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) generation: Generation,
    /// Keys that clouds hold, rather than chips.
    pub(crate) vlek: bool,
}

impl Line {
    /// `vcek/v1/Milan`, as the service's addresses begin.
    fn path(self) -> String {
        let kind = if self.vlek { "vlek" } else { "vcek" };
        let product = match self.generation {
            Generation::Milan => "Milan",
            Generation::Genoa => "Genoa",
            Generation::Turin => "Turin",
        };
        format!("{kind}/v1/{product}")
    }
}

/// A certificate chain that ends in AMD's root of its line; made by [`Chain::new`] only.
#[derive(Debug)]
pub(crate) struct Chain {
    /// ASK or ASVK, DER.
    pub(crate) ask: Vec<u8>,
    /// ARK, DER.
    pub(crate) ark: Vec<u8>,
    issuer: Certificate,
}

impl Chain {
    /// Checks that `ark` is the root of `line` and that it signed `ask`.
    fn new(line: Line, ask: Vec<u8>, ark: Vec<u8>) -> Result<Self, NotUsable> {
        if !Digest::of(&ark).ct_eq(&line.generation.root()) {
            return Err(NotUsable(
                "a chain that does not end in AMD's root of this generation",
            ));
        }
        let read = |der: &[u8]| {
            Certificate::from_der(der).map_err(|_| NotUsable("not a certificate of AMD's kind"))
        };
        let issuer = read(&ask)?;
        issuer
            .signed_by(&read(&ark)?, &SignatureCache::none())
            .map_err(|_| NotUsable("a chain whose signature does not verify"))?;
        Ok(Self { ask, ark, issuer })
    }

    /// The chain that evidence carries, if it is a whole one.
    pub(crate) fn carried(line: Line, carried: &Endorsements) -> Option<Self> {
        let (ask, ark) = (carried.ask.clone()?, carried.ark.clone()?);
        Self::new(line, ask, ark).ok()
    }
}

/// `cert_chain`: PEM of ASK or ASVK, then of the ARK.
pub(crate) struct ChainItem {
    pub(crate) line: Line,
}

impl Item for ChainItem {
    type Value = Chain;
    const WHAT: &'static str = "AMD's certificate chain";
    const KIND: &'static str = "amd-chain";
    const CAP: usize = 16 * 1024;

    fn identity(&self) -> String {
        self.line.path()
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        config.amd.at(&format!("/{}/cert_chain", self.line.path()))
    }

    fn accept(&self, answer: &Answer) -> Result<Chain, NotUsable> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&answer.body).collect();
        let all = all.map_err(|_| NotUsable("not PEM"))?;
        let [ask, ark] = all.as_slice() else {
            return Err(NotUsable("not two certificates"));
        };
        Chain::new(self.line, ask.to_vec(), ark.to_vec())
    }

    fn window(_: &Chain) -> Option<Window> {
        None
    }
}

/// `crl`: DER of what the root has revoked.
pub(crate) struct CrlItem<'a> {
    pub(crate) line: Line,
    pub(crate) chain: &'a Chain,
}

impl Item for CrlItem<'_> {
    type Value = RevocationList;
    const WHAT: &'static str = "AMD's revocation list";
    const KIND: &'static str = "amd-crl";
    const CAP: usize = 64 * 1024;

    fn identity(&self) -> String {
        self.line.path()
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        config.amd.at(&format!("/{}/crl", self.line.path()))
    }

    fn accept(&self, answer: &Answer) -> Result<RevocationList, NotUsable> {
        let list = RevocationList::parse(&answer.body)?;
        let root = x509_cert::Certificate::from_der(&self.chain.ark)
            .map_err(|_| NotUsable("not a root"))?;
        list.issued_by(&root, AMD)?;
        Ok(list)
    }

    fn window(list: &RevocationList) -> Option<Window> {
        Some(list.window())
    }
}

/// The certificate of one chip's key for one state of its firmware.
pub(crate) struct VcekItem<'a> {
    pub(crate) generation: Generation,
    pub(crate) chip_id: &'a [u8; 64],
    pub(crate) tcb: Tcb,
    pub(crate) chain: &'a Chain,
}

impl VcekItem<'_> {
    fn hw_id(&self) -> String {
        let len = self.generation.hw_id_len();
        hex::encode(self.chip_id.get(..len).unwrap_or(self.chip_id))
    }
}

impl Item for VcekItem<'_> {
    type Value = Vec<u8>;
    const WHAT: &'static str = "the VCEK certificate";
    const KIND: &'static str = "amd-vcek";
    const CAP: usize = 8 * 1024;

    fn identity(&self) -> String {
        format!(
            "{}/{}/{}",
            self.generation,
            self.hw_id(),
            hex::encode(self.tcb.encode())
        )
    }

    fn url(&self, config: &Config) -> Result<Url, CollateralError> {
        let line = Line {
            generation: self.generation,
            vlek: false,
        };
        let Tcb {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
        } = self.tcb;
        let fmc = fmc.map_or_else(String::new, |fmc| format!("fmcSPL={fmc:02}&"));
        config.amd.at(&format!(
            "/{}/{}?{fmc}blSPL={bootloader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}",
            line.path(),
            self.hw_id(),
        ))
    }

    fn accept(&self, answer: &Answer) -> Result<Vec<u8>, NotUsable> {
        let vcek = Certificate::from_der(&answer.body)
            .map_err(|_| NotUsable("not a certificate of AMD's kind"))?;
        vcek.signed_by(&self.chain.issuer, &SignatureCache::none())
            .map_err(|_| NotUsable("a certificate whose signature does not verify"))?;
        let claims = VekClaims::read(&vcek)
            .map_err(|_| NotUsable("a certificate without a chip's extensions"))?;
        if claims.generation != self.generation || !claims.is_chip(self.chip_id) {
            return Err(NotUsable("a certificate of another chip"));
        }
        if claims.tcb != self.tcb {
            return Err(NotUsable("a certificate for other firmware"));
        }
        Ok(answer.body.clone())
    }

    fn window(_: &Vec<u8>) -> Option<Window> {
        None
    }
}
