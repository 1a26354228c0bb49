//! Intel's certificates and revocation lists: what they say of their time. Signatures are
//! `dcap-qvl`'s business.

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::UintRef;
use duckblind_protocol::ids::{Digest, UnixTime};
use x509_cert::crl::CertificateList;
use x509_cert::time::Time;

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum X509Error {
    /// Not DER of the right form, or something after it.
    #[error("malformed")]
    Malformed,
    /// A revocation list must say when the next one comes.
    #[error("does not say when the next one comes")]
    NoNextUpdate,
    /// A revocation list must have a number.
    #[error("has no number")]
    NoNumber,
}

/// A certificate, parsed and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// DER.
    pub(crate) der: Vec<u8>,
    /// SHA-256 of `der`.
    pub(crate) digest: Digest,
    /// First and last second.
    pub(crate) validity: (UnixTime, UnixTime),
    serial: Vec<u8>,
}

impl Certificate {
    /// From DER and nothing after it.
    pub(crate) fn from_der(der: Vec<u8>) -> Result<Self, X509Error> {
        let parsed = x509_cert::Certificate::from_der(&der).map_err(|_| X509Error::Malformed)?;
        let tbs = parsed.tbs_certificate();
        let validity = tbs.validity();
        Ok(Self {
            digest: Digest::of(&der),
            validity: (unix(&validity.not_before), unix(&validity.not_after)),
            serial: tbs.serial_number().as_bytes().to_vec(),
            der,
        })
    }
}

/// A revocation list, parsed and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevocationList {
    /// When it was made, and the last second of its time.
    pub(crate) window: (UnixTime, UnixTime),
    /// Its number: later ones have higher ones.
    pub(crate) number: u64,
    revoked: Vec<Vec<u8>>,
}

impl RevocationList {
    /// From DER and nothing after it.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        let parsed: CertificateList =
            CertificateList::from_der(der).map_err(|_| X509Error::Malformed)?;
        let tbs = parsed.tbs_cert_list;
        let next = tbs.next_update.ok_or(X509Error::NoNextUpdate)?;
        let mut extensions = tbs.crl_extensions.iter().flatten();
        let number = extensions
            .find(|extension| extension.extn_id == CRL_NUMBER)
            .and_then(|extension| number(extension.extn_value.as_bytes()));
        let revoked = tbs.revoked_certificates.iter().flatten();
        Ok(Self {
            window: (unix(&tbs.this_update), unix(&next)),
            number: number.ok_or(X509Error::NoNumber)?,
            revoked: revoked
                .map(|entry| entry.serial_number.as_bytes().to_vec())
                .collect(),
        })
    }

    /// Whether it lists this certificate. Only an answer if both have the same issuer.
    pub(crate) fn lists(&self, certificate: &Certificate) -> bool {
        self.revoked.contains(&certificate.serial)
    }
}

fn number(der: &[u8]) -> Option<u64> {
    let bytes = UintRef::from_der(der).ok()?;
    let mut wide = [0; 8];
    let start = wide.len().checked_sub(bytes.as_bytes().len())?;
    wide.get_mut(start..)?.copy_from_slice(bytes.as_bytes());
    Some(u64::from_be_bytes(wide))
}

fn unix(time: &Time) -> UnixTime {
    let seconds = time.to_unix_duration().as_secs();
    UnixTime(i64::try_from(seconds).unwrap_or(i64::MAX))
}
