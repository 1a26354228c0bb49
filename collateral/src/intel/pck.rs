//! Which collateral a TDX platform needs: its certificate (PCK) says so (Intel "SGX PCK
//! Certificate and Certificate Revocation List Profile Specification").

use std::fmt;

use const_oid::ObjectIdentifier;
use der::asn1::OctetStringRef;
use der::{Decode as _, Reader as _, SliceReader};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::name::Name;

use crate::item::NotUsable;

const SGX_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const FMSPC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.4");

/// Who signs a platform's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckCa {
    /// For platforms that registered all their packages together.
    Platform,
    /// For single processors.
    Processor,
}

impl PckCa {
    /// As Intel's addresses name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }

    /// From the name of the authority.
    pub(crate) fn of_name(name: &Name) -> Option<Self> {
        let name = name.common_name().ok()??;
        match name.value().as_ref() {
            "Intel SGX PCK Platform CA" => Some(Self::Platform),
            "Intel SGX PCK Processor CA" => Some(Self::Processor),
            _ => None,
        }
    }
}

impl fmt::Display for PckCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What Intel's collateral is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdxPlatform {
    /// Family, model, stepping, platform, customer.
    pub fmspc: [u8; 6],
    /// Who signed the platform's certificate.
    pub ca: PckCa,
}

impl TdxPlatform {
    /// Reads a platform's certificate: DER, or PEM of a chain that begins with it. Nothing is
    /// verified.
    pub fn of_pck(certificate: &[u8]) -> Result<Self, NotUsable> {
        let pem = CertificateDer::from_pem_slice(certificate);
        let der = pem.as_ref().map_or(certificate, |der| der.as_ref());
        let parsed =
            Certificate::from_der(der).map_err(|_| NotUsable("not a platform certificate"))?;
        let tbs = parsed.tbs_certificate();
        let extension = tbs
            .extensions()
            .into_iter()
            .flatten()
            .find(|extension| extension.extn_id == SGX_EXTENSION)
            .ok_or(NotUsable("a certificate without a platform's extension"))?;
        Ok(Self {
            fmspc: fmspc(extension.extn_value.as_bytes())
                .ok_or(NotUsable("a platform certificate without an FMSPC"))?,
            ca: PckCa::of_name(tbs.issuer())
                .ok_or(NotUsable("a platform certificate of an unknown authority"))?,
        })
    }
}

/// Out of `SEQUENCE OF SEQUENCE { id, value }`.
fn fmspc(extension: &[u8]) -> Option<[u8; 6]> {
    let mut found = None;
    let mut outer = SliceReader::new(extension).ok()?;
    let read = outer.sequence(|all| {
        while !all.is_finished() {
            all.sequence(|one| {
                if ObjectIdentifier::decode(one)? == FMSPC {
                    found = <&OctetStringRef>::decode(one)?.as_bytes().try_into().ok();
                } else {
                    one.tlv_bytes()?;
                }
                der::Result::Ok(())
            })?;
        }
        der::Result::Ok(())
    });
    read.ok().and(found)
}
