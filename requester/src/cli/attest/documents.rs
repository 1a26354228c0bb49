//! Vendors' documents that are named on the command line.

use std::path::{Path, PathBuf};

use der::Decode as _;
use duckblind_attestation::evidence::{Endorsements, MAX_COLLATERAL, MAX_EVENT_LOG};
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::tdx::TdxCollateral;
use duckblind_protocol::coded::{Coded, Exit};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_cert::ext::pkix::BasicConstraints;

use super::super::failure::Failure;
use crate::error::RequesterError;
use crate::files;

/// Bytes that collateral in JSON may have: binary parts are in hex digits, quotes are escaped.
pub(super) const MAX_JSON: usize = 2 * MAX_COLLATERAL;
/// Certificates that one file may bring.
const MAX_CERTIFICATES: usize = 8;

/// Vendors' documents, besides those that the evidence carries.
#[derive(Debug, Default, clap::Args)]
pub(super) struct DocumentArgs {
    /// A bundle, as `attest fetch-collateral` writes it
    #[arg(long, value_name = "BUNDLE")]
    endorsements: Option<PathBuf>,
    /// A certificate of AMD's for the report: of the signing key, of its signer or the root; DER or
    /// PEM, may be given several times
    #[arg(long = "cert", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// AMD's revocation list, DER or PEM
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
    /// Intel's word on the platform, JSON
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// What was measured after launch: a CCEL event log
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
}

/// A document that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentError {
    /// Not a certificate, or too many.
    #[error("{} holds no certificate of AMD's: {why}", path.display())]
    Certificate { path: PathBuf, why: String },
    /// Not collateral.
    #[error("{} is not collateral of Intel's: {why}", path.display())]
    Collateral { path: PathBuf, why: String },
}

impl Coded for DocumentError {
    fn code(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "DB-REQ-101",
            Self::Collateral { .. } => "DB-REQ-102",
        }
    }
    fn exit(&self) -> Exit {
        Exit::Malformed
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Certificate { .. } => {
                "DER or PEM, as AMD's key service gives them; `duckblind attest fetch-collateral` \
                 brings all of them"
                    .into()
            }
            Self::Collateral { .. } => {
                "`duckblind attest fetch-collateral` brings it as a bundle for --endorsements"
                    .into()
            }
        })
    }
}

impl DocumentArgs {
    /// Whether any is named.
    pub(super) fn any(&self) -> bool {
        self.endorsements.is_some()
            || !self.certificates.is_empty()
            || self.crl.is_some()
            || self.collateral.is_some()
            || self.event_log.is_some()
    }

    /// All of them. What is named one by one goes before what a bundle has.
    pub(super) fn read(&self) -> Result<Endorsements, Failure> {
        let mut own = Endorsements::default();
        for path in &self.certificates {
            certificates(path, &mut own)?;
        }
        if let Some(path) = &self.crl {
            own.crl = Some(revocation_list(read(path, MAX_COLLATERAL)?));
        }
        if let Some(path) = &self.collateral {
            own.tdx = Some(collateral(path, &read(path, MAX_JSON)?)?);
        }
        match &self.endorsements {
            Some(path) => Ok(own.or(&duckblind_collateral::read_bundle(path)?)),
            None => Ok(own),
        }
    }

    /// The event log.
    pub(super) fn event_log(&self) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.event_log.as_deref();
        Ok(path.map(|path| read(path, MAX_EVENT_LOG)).transpose()?)
    }
}

pub(super) fn read(path: &Path, cap: usize) -> Result<Vec<u8>, RequesterError> {
    let cap = u64::try_from(cap).unwrap_or(u64::MAX);
    files::read_bytes(path, cap).map_err(RequesterError::from)
}

/// Puts each certificate where it belongs: by its extensions, or by who issued it.
fn certificates(path: &Path, own: &mut Endorsements) -> Result<(), Failure> {
    let wrong = |why: String| DocumentError::Certificate {
        path: path.to_owned(),
        why,
    };
    for der in split(read(path, MAX_COLLATERAL)?) {
        let place = place(&der).ok_or_else(|| wrong("not a certificate".into()))?;
        let slot = match place {
            Place::Vek => &mut own.vek,
            Place::Ask => &mut own.ask,
            Place::Ark => &mut own.ark,
        };
        if slot.as_ref().is_some_and(|there| *there != der) {
            return Err(wrong(format!("a second {}", place.name())).into());
        }
        *slot = Some(der);
    }
    Ok(())
}

enum Place {
    Vek,
    Ask,
    Ark,
}

impl Place {
    const fn name(&self) -> &'static str {
        match self {
            Self::Vek => "VEK",
            Self::Ask => "ASK",
            Self::Ark => "ARK",
        }
    }
}

fn place(der: &[u8]) -> Option<Place> {
    let parsed = x509_cert::Certificate::from_der(der).ok()?;
    let tbs = parsed.tbs_certificate();
    let claims = Certificate::from_der(der).ok();
    if claims.is_some_and(|parsed| VekClaims::read(&parsed).is_ok()) {
        return Some(Place::Vek);
    }
    if tbs.issuer() == tbs.subject() {
        return Some(Place::Ark);
    }
    // A chip's key that says nothing of its chip is still none that signs certificates.
    let basic = tbs.get_extension::<BasicConstraints>().ok().flatten();
    match basic {
        Some((_, basic)) if basic.ca => Some(Place::Ask),
        _ => Some(Place::Vek),
    }
}

/// The certificates of a PEM file, or the bytes of a DER file.
fn split(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let pem: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .take(MAX_CERTIFICATES)
        .map_while(Result::ok)
        .map(|der| der.to_vec())
        .collect();
    if pem.is_empty() { vec![bytes] } else { pem }
}

/// DER of a list that may be PEM.
fn revocation_list(bytes: Vec<u8>) -> Vec<u8> {
    match CertificateRevocationListDer::from_pem_slice(&bytes) {
        Ok(der) => der.to_vec(),
        Err(_) => bytes,
    }
}

/// Collateral from its JSON form.
fn collateral(path: &Path, json: &[u8]) -> Result<TdxCollateral, DocumentError> {
    TdxCollateral::from_json(json).map_err(|error| DocumentError::Collateral {
        path: path.to_owned(),
        why: error.to_string(),
    })
}
