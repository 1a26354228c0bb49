//! Certificate revocation lists, as far as one needs to know them to keep them: who issued it and
//! when it holds. Which serials it lists is the appraiser's to read.

use aws_lc_rs::signature::VerificationAlgorithm;
use der::Decode as _;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;

use crate::item::NotUsable;
use crate::signed::SignedDer;
use crate::window::{Window, of_der};

/// A revocation list whose signature was not yet looked at.
#[derive(Clone, Debug)]
pub struct RevocationList {
    der: Vec<u8>,
    window: Window,
    parsed: CertificateList,
}

impl RevocationList {
    /// From DER and nothing after it. A list that does not say when the next one comes is refused.
    pub fn parse(der: &[u8]) -> Result<Self, NotUsable> {
        let parsed = CertificateList::from_der(der).map_err(|_| NotUsable("not a list in DER"))?;
        let list = &parsed.tbs_cert_list;
        let until = list
            .next_update
            .ok_or(NotUsable("a list without nextUpdate"))?;
        let window = Window::new(of_der(list.this_update), of_der(until));
        Ok(Self {
            der: der.to_vec(),
            window: window.ok_or(NotUsable("a list that ends before it begins"))?,
            parsed,
        })
    }

    /// `thisUpdate` to `nextUpdate`.
    pub const fn window(&self) -> Window {
        self.window
    }

    /// The list.
    pub(crate) fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// Checks that `issuer` issued it, signing with `algorithm`.
    pub(crate) fn issued_by(
        &self,
        issuer: &Certificate,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Result<(), NotUsable> {
        let above = issuer.tbs_certificate();
        if self.parsed.tbs_cert_list.issuer != *above.subject() {
            return Err(NotUsable("a list of another issuer"));
        }
        let signed = SignedDer::read(&self.der).ok_or(NotUsable("not a list in DER"))?;
        if signed.by(algorithm, above.subject_public_key_info()) {
            Ok(())
        } else {
            Err(NotUsable("a list whose signature does not verify"))
        }
    }
}
