//! Chains of certificates in PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Characters of a line.
const LINE: usize = 64;
/// Certificates that a chain can have: key, signer, root.
const MAX_CERTIFICATES: usize = 3;

/// Not a chain of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemError {
    /// Not PEM.
    #[error("not certificates in PEM")]
    Malformed,
    /// Too many, or none.
    #[error("not 1 to {MAX_CERTIFICATES} certificates")]
    Count,
    /// PEM, but with something that the encoder would not have written.
    #[error("not the canonical form of its certificates")]
    NotCanonical,
}

/// The certificates, DER, in their order. Lenient in what stands around them.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(PemError::Count);
        }
        let certificate = certificate.map_err(|_| PemError::Malformed)?;
        certificates.push(certificate.as_ref().to_vec());
    }
    if certificates.is_empty() {
        return Err(PemError::Count);
    }
    Ok(certificates)
}

/// As [`decode`], but every byte must be as [`encode`] writes it. Quoting services end the text
/// with one zero byte or with none.
pub(crate) fn decode_canonical(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let certificates = decode(text)?;
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    if text == encode(&certificates).as_bytes() {
        Ok(certificates)
    } else {
        Err(PemError::NotCanonical)
    }
}

/// One certificate after the other, lines of 64 characters, each with a line feed.
pub(crate) fn encode(certificates: &[impl AsRef<[u8]>]) -> String {
    let mut out = String::new();
    for certificate in certificates {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
            out.push_str(line);
            out.push('\n');
            rest = more;
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chains() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..4)
    }

    proptest! {
        #[test]
        fn round_trip(chain in chains()) {
            let mut text = encode(&chain).into_bytes();
            prop_assert_eq!(&decode_canonical(&text).unwrap(), &chain);
            text.push(0);
            prop_assert_eq!(&decode_canonical(&text).unwrap(), &chain);
        }

        #[test]
        fn one_other_byte_is_another_chain_or_none(chain in chains(), at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let mut text = encode(&chain).into_bytes();
            text.push(0);
            let at = at.index(text.len());
            text[at] ^= 1u8 << bit;
            prop_assert!(decode_canonical(&text).map_or(true, |other| other != chain));
        }

        #[test]
        fn hostile_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_canonical(&text);
        }
    }

    #[test]
    fn what_stands_around_certificates_counts_in_the_canonical_form_only() {
        let text = encode(&[[7; 100]]);
        let around = [
            format!("{text}\n"),
            format!("\n{text}"),
            format!("{text}\0\0"),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("a comment\n{text}"),
        ];
        for around in around {
            assert_eq!(decode(around.as_bytes()).unwrap(), [vec![7; 100]]);
            let error = decode_canonical(around.as_bytes()).unwrap_err();
            assert_eq!(error, PemError::NotCanonical, "{around:?}");
        }
        assert_eq!(decode(b""), Err(PemError::Count));
        let many = encode(&[[1], [2], [3], [4]]);
        assert_eq!(decode(many.as_bytes()), Err(PemError::Count));
    }
}
