//! The signer of an answer of Intel's, as a header of it carries it: PEM of two certificates,
//! percent-encoded.

use std::fmt::Write as _;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use der::Decode as _;
use duckblind_protocol::ids::Digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_cert::Certificate;

use crate::item::NotUsable;
use crate::signed::{INTEL, SignedDer, verify};

/// SHA-256 of Intel's root certificate ("Intel SGX Root CA", DER).
const INTEL_ROOT: Digest = Digest::from_bytes([
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
    0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
]);
/// Bytes of PEM.
const MAX_PEM: usize = 8 * 1024;

/// A signer and Intel's root above it; made by [`parse_issuer_chain`] only.
#[derive(Clone, Debug)]
pub struct IssuerChain {
    pem: String,
    signer: Certificate,
    root: Certificate,
}

/// Reads the header: exactly two certificates, the second Intel's root, which signed the first.
/// Dates are not looked at.
pub fn parse_issuer_chain(header: &str) -> Result<IssuerChain, NotUsable> {
    let pem = percent_decode(header).ok_or(NotUsable("a signer's chain that is not text"))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|_| NotUsable("a signer's chain that is not PEM"))?;
    let [signer_der, root_der] = all.as_slice() else {
        return Err(NotUsable("a signer's chain that is not two certificates"));
    };
    if !Digest::of(root_der).ct_eq(&INTEL_ROOT) {
        return Err(NotUsable(
            "a signer's chain that does not end in Intel's root",
        ));
    }
    let read = |der: &[u8]| {
        Certificate::from_der(der).map_err(|_| NotUsable("a signer's chain without certificates"))
    };
    let (signer, root) = (read(signer_der)?, read(root_der)?);
    let above = root.tbs_certificate().subject_public_key_info();
    if SignedDer::read(signer_der).is_some_and(|signed| signed.by(INTEL, above)) {
        Ok(IssuerChain { pem, signer, root })
    } else {
        Err(NotUsable(
            "a signer's chain whose signature does not verify",
        ))
    }
}

impl IssuerChain {
    /// The two certificates, as served.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate of the key that signs.
    pub(crate) const fn signer(&self) -> &Certificate {
        &self.signer
    }

    /// Intel's root.
    pub(crate) const fn root(&self) -> &Certificate {
        &self.root
    }

    /// Checks that the signer signed `text`.
    pub(crate) fn signed(&self, text: &str, signature: &[u8; 64]) -> Result<(), NotUsable> {
        let key = self.signer.tbs_certificate().subject_public_key_info();
        if verify(&ECDSA_P256_SHA256_FIXED, key, text.as_bytes(), signature) {
            Ok(())
        } else {
            Err(NotUsable("signed JSON whose signature does not verify"))
        }
    }

    /// PEM as a header carries it.
    pub(crate) fn encode(pem: &str) -> String {
        let mut header = String::with_capacity(pem.len() * 2);
        for byte in pem.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                header.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(header, "%{byte:02X}");
            }
        }
        header
    }
}

/// Plain ASCII out of `%XX` and what needs no encoding; `None` for anything else, or too much.
fn percent_decode(header: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = header.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = if *first == b'%' {
            let (digits, after) = after.split_first_chunk::<2>()?;
            rest = after;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            let [byte] = byte;
            byte
        } else {
            rest = after;
            *first
        };
        if !byte.is_ascii() || text.len() == MAX_PEM {
            return None;
        }
        text.push(char::from(byte));
    }
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percent_decoding() {
        assert_eq!(percent_decode("a%20b%2Bc+%0a").as_deref(), Some("a b+c+\n"));
        for bad in ["%", "%2", "%zz", "%C3%A4", "ä"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
        assert!(percent_decode(&"x".repeat(MAX_PEM)).is_some());
        assert!(percent_decode(&"x".repeat(MAX_PEM + 1)).is_none());
    }

    proptest! {
        #[test]
        fn encoding_and_back(text in "[ -~\n]{0,100}") {
            prop_assert_eq!(percent_decode(&IssuerChain::encode(&text)), Some(text));
        }

        #[test]
        fn hostile_headers_never_panic(text in ".{0,200}") {
            prop_assert!(parse_issuer_chain(&text).is_err());
        }
    }
}
