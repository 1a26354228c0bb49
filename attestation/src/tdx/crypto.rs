//! The cryptography under quote verification: `dcap-qvl` brings the rules, `aws-lc-rs` the
//! arithmetic, as everywhere else.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::signature::DerSigEncoder;
use dcap_qvl::x509::X509CertBackend;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// Hashes and signatures of `aws-lc-rs`.
pub struct AwsLc;

/// How quotes are verified here: `dcap-qvl`'s own parsing over [`AwsLc`].
pub struct QvlConfig;

impl Config for QvlConfig {
    type X509 = X509CertBackend;
    type SigEncoder = DerSigEncoder;
    type Crypto = AwsLc;
}

impl CryptoProvider for AwsLc {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        &EcdsaP256Sha256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
        bytes
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes.copy_from_slice(digest::digest(&digest::SHA384, data).as_ref());
        bytes
    }
}

/// The one algorithm of Intel's certificates, lists and quotes: signatures in ASN.1, keys as points.
#[derive(Debug)]
struct EcdsaP256Sha256;

impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::fs;

    use dcap_qvl::intel::extract_cert_chain;
    use dcap_qvl::quote::Quote;
    use dcap_qvl::verify::QuoteVerifier;
    use dcap_qvl::{QuoteCollateralV3, QuotePolicy, TcbStatus};

    use super::*;
    use crate::vectors;

    /// The first listed case: a quote of a platform that was up to date then.
    const NOW: u64 = 1_750_329_207;

    fn verify(
        root: &[u8],
        quote: &[u8],
        collateral: &QuoteCollateralV3,
    ) -> Result<TcbStatus, String> {
        QuoteVerifier::<QvlConfig>::new_with_config(root.to_vec())
            .verify_with_policy(quote, collateral, NOW, &QuotePolicy::claims_only(NOW))
            .map(|claims| claims.tcb.status)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_real_quote() {
        let Some(folder) = vectors::folder("tdx") else {
            return;
        };
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let quote = read("normalized/Phala-Network_dcap-qvl__tdx_quote.quote.bin");
        let collateral = read("Phala-Network_dcap-qvl/tdx_quote_collateral.json");
        let collateral: QuoteCollateralV3 = serde_json::from_slice(&collateral).unwrap();
        let chain = extract_cert_chain(&Quote::parse(&quote).unwrap()).unwrap();
        let root = chain.last().unwrap();
        let verify = |quote: &[u8], collateral| verify(root, quote, collateral);
        assert_eq!(verify(&quote, &collateral), Ok(TcbStatus::UpToDate));

        // One byte each: of the body, of the attestation key, of the signed word on the platform.
        for at in [600, 710] {
            let mut changed = quote.clone();
            changed[at] ^= 1;
            assert!(verify(&changed, &collateral).is_err(), "{at}");
        }
        let mut changed = collateral.clone();
        changed.tcb_info = changed.tcb_info.replacen("\"svn\":2", "\"svn\":1", 1);
        assert_ne!(changed.tcb_info, collateral.tcb_info);
        assert!(verify(&quote, &changed).is_err());
    }

    #[test]
    fn digests_of_abc() {
        // FIPS 180-4, example values.
        assert_eq!(
            hex::encode(AwsLc::sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex::encode(AwsLc::sha384(b"abc")),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
    }

    #[test]
    fn no_key_and_no_signature() {
        assert!(AwsLc::sig_algo().verify_signature(&[], b"", &[]).is_err());
    }
}
