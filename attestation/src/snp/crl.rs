//! AMD's revocation lists (RFC 5280, section 5): parsed once, signatures checked over the bytes as
//! they came.

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::UintRef;
use duckblind_protocol::ids::{Digest, UnixTime};
use x509_cert::Version;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::KeyUsage;

use super::SignatureCache;
use super::certificate::{Certificate, CertificateError};
use super::signed::{self, SignedParts};

/// Bytes that a list may have; AMD's have about a thousand.
pub const MAX_CRL: usize = 64 * 1024;

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");

/// Why a revocation list is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not DER of a list of version 2, with bytes after it, or too long.
    #[error("not a revocation list")]
    Malformed,
    /// Without a number of at most 64 bits. All of AMD's have one, and without one an old list
    /// could pass for the newest.
    #[error("without a number")]
    Number,
    /// As certificates fail.
    #[error(transparent)]
    Signed(#[from] CertificateError),
}

/// A parsed revocation list, not verified.
#[derive(Debug)]
pub struct RevocationList {
    tbs: Vec<u8>,
    parsed: CertificateList,
    number: u64,
    digest: Digest,
}

impl RevocationList {
    /// From DER and nothing after it.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CrlError> {
        if bytes.len() > MAX_CRL {
            return Err(CrlError::Malformed);
        }
        let parsed = CertificateList::from_der(bytes).map_err(|_| CrlError::Malformed)?;
        let list = &parsed.tbs_cert_list;
        if list.version != Version::V2 {
            return Err(CrlError::Malformed);
        }
        let algorithm = &parsed.signature_algorithm;
        if list.signature != *algorithm || !signed::is_pss_sha384(algorithm) {
            return Err(CertificateError::SignatureAlgorithm.into());
        }
        // A list of a part of all certificates, or of changes only, says so in a critical one.
        let whole = signed::extensions_are_known(list.crl_extensions.as_ref(), &[CRL_NUMBER]);
        let mut entries = list.revoked_certificates.iter().flatten();
        let known = entries.all(|entry| {
            let extensions = entry.crl_entry_extensions.as_ref();
            signed::extensions_are_known(extensions, &[CERTIFICATE_ISSUER])
        });
        if !whole || !known {
            return Err(CertificateError::Extensions.into());
        }
        Ok(Self {
            tbs: signed::signed_part(bytes)
                .map_err(|_| CrlError::Malformed)?
                .to_vec(),
            number: number(&parsed).ok_or(CrlError::Number)?,
            parsed,
            digest: Digest::of(bytes),
        })
    }

    /// SHA-256 of the DER.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its place among all lists of the issuer.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was made, and when there is a newer one at the latest.
    pub fn validity(&self) -> (UnixTime, Option<UnixTime>) {
        let list = &self.parsed.tbs_cert_list;
        let next = list.next_update.as_ref().map(signed::seconds);
        (signed::seconds(&list.this_update), next)
    }

    /// Checks that `issuer` may sign revocation lists and signed this one.
    pub fn signed_by(
        &self,
        issuer: &Certificate,
        cache: &SignatureCache,
    ) -> Result<(), CertificateError> {
        if !issuer.may(KeyUsage::crl_sign) {
            return Err(CertificateError::NotACrlSigner);
        }
        issuer.signed(
            &self.parsed.tbs_cert_list.issuer,
            &SignedParts {
                signed: &self.tbs,
                signature: &self.parsed.signature,
            },
            cache,
        )
    }

    /// Whether a serial number is listed, whichever issuer the entry names and whatever the
    /// reason: AMD's numbers differ between issuers, and too many refused are better than too few.
    pub fn lists(&self, serial: &[u8]) -> bool {
        let list = &self.parsed.tbs_cert_list;
        let mut entries = list.revoked_certificates.iter().flatten();
        entries.any(|entry| entry.serial_number.as_bytes() == serial)
    }
}

fn number(parsed: &CertificateList) -> Option<u64> {
    let mut extensions = parsed.tbs_cert_list.crl_extensions.iter().flatten();
    let found = extensions.find(|extension| extension.extn_id == CRL_NUMBER)?;
    let number = UintRef::from_der(found.extn_value.as_bytes()).ok()?;
    let bytes = number.as_bytes();
    let mut padded = [0; 8];
    let from = padded.len().checked_sub(bytes.len())?;
    padded.get_mut(from..)?.copy_from_slice(bytes);
    Some(u64::from_be_bytes(padded))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn not_a_list() {
        let malformed = |bytes: &[u8]| RevocationList::from_der(bytes).err();
        assert_eq!(malformed(&[]), Some(CrlError::Malformed));
        assert_eq!(malformed(&[0x30, 0]), Some(CrlError::Malformed));
        assert_eq!(
            malformed(&vec![0x30; MAX_CRL + 1]),
            Some(CrlError::Malformed)
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = RevocationList::from_der(&bytes);
        }
    }

    #[cfg(feature = "simulator")]
    mod of_the_simulator {
        use super::*;
        use crate::simulator::Authority;
        use crate::testing::stranger;

        fn der(number: u64) -> Vec<u8> {
            let mut list = Authority::first_list().unwrap();
            list.number = Some(number);
            stranger().crl(&list).unwrap()
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(32))]

            #[test]
            fn numbers(number in any::<u64>()) {
                prop_assert_eq!(RevocationList::from_der(&der(number)).unwrap().number(), number);
            }

            #[test]
            fn damaged_lists_never_panic(at in any::<proptest::sample::Index>(), with in any::<u8>()) {
                let mut bytes = der(1);
                let at = at.index(bytes.len());
                *bytes.get_mut(at).unwrap() = with;
                let _ = RevocationList::from_der(&bytes);
            }

            #[test]
            fn truncations_are_refused(cut in any::<proptest::sample::Index>()) {
                let bytes = der(1);
                let end = cut.index(bytes.len());
                prop_assert!(RevocationList::from_der(bytes.get(..end).unwrap()).is_err());
            }
        }

        #[test]
        fn longer_than_any_honest_one() {
            let mut list = Authority::first_list().unwrap();
            let serial = x509_cert::serial_number::SerialNumber::new(&[7; 16]).unwrap();
            list.revoked = vec![serial; MAX_CRL / 32];
            let long = stranger().crl(&list).unwrap();
            assert!(long.len() > MAX_CRL);
            assert_eq!(
                RevocationList::from_der(&long).err(),
                Some(CrlError::Malformed)
            );
        }
    }
}
