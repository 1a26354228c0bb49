//! Revocation lists of the simulated vendors (RFC 5280, section 5.1).

use const_oid::AssociatedOid as _;
use der::Encode as _;
use der::asn1::Uint;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use super::SimulatorError;
use super::x509::{self, Issuer};

/// A list before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct RevocationList {
    /// Who says to have written it.
    pub(crate) issuer: Name,
    /// Its place among the issuer's lists; every list of a vendor has one.
    pub(crate) number: Option<u64>,
    /// Since when it holds.
    pub(crate) this_update: Time,
    /// When there is a newer one; every list of a vendor says.
    pub(crate) next_update: Option<Time>,
    /// Serial numbers.
    pub(crate) revoked: Vec<SerialNumber>,
    /// More than the number; honest lists need none.
    pub(crate) extensions: Vec<Extension>,
    /// Of each entry; honest lists need none.
    pub(crate) entry_extensions: Vec<Extension>,
}

impl RevocationList {
    /// The first list of `common`, with nothing in it.
    pub(super) fn first(common: &str) -> Result<Self, SimulatorError> {
        let period = x509::period(x509::LONG_DAYS)?;
        Ok(Self {
            issuer: x509::name(common)?,
            number: Some(1),
            this_update: period.not_before,
            next_update: Some(period.not_after),
            revoked: Vec::new(),
            extensions: Vec::new(),
            entry_extensions: Vec::new(),
        })
    }

    /// DER, signed with `key`.
    pub(super) fn signed_by(&self, key: &impl Issuer) -> Result<Vec<u8>, SimulatorError> {
        let entries: Vec<_> = self
            .revoked
            .iter()
            .map(|serial| RevokedCert {
                serial_number: serial.clone(),
                revocation_date: self.this_update,
                crl_entry_extensions: some(&self.entry_extensions),
            })
            .collect();
        let mut extensions = self.extensions.clone();
        if let Some(number) = self.number {
            let der = CrlNumber(Uint::new(&number.to_be_bytes())?).to_der()?;
            extensions.push(x509::extension(CrlNumber::OID, false, der)?);
        }
        let tbs = TbsCertList {
            version: x509_cert::Version::V2,
            signature: key.algorithm()?,
            issuer: self.issuer.clone(),
            this_update: self.this_update,
            next_update: self.next_update,
            // RFC 5280, 5.1.2.6: absent, not empty.
            revoked_certificates: (!entries.is_empty()).then_some(entries),
            crl_extensions: some(&extensions),
        };
        x509::signed(&tbs.to_der()?, key)
    }
}

/// RFC 5280, 5.1.2.7 and 5.3: absent, not empty.
fn some(extensions: &[Extension]) -> Option<Vec<Extension>> {
    (!extensions.is_empty()).then(|| extensions.to_vec())
}
