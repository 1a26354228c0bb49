//! Mutual TLS 1.3: our self-signed certificate, and the check of the peer's.
//!
//! A certificate here is only a carrier of an Ed25519 key. Names, dates and issuers say nothing;
//! the handshake signature proves that the peer holds the key, and [`PeerPolicy`] decides whether
//! the key's holder may come in.

use std::sync::Arc;

use duckblind_protocol::ids::{NodeId, PublicKey};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::error::HostError;
use crate::node_key::{NodeKey, key_of_spki};
use crate::peers::PeerPolicy;
use crate::transport;

/// The certificate of `key`, self-signed, and the key as TLS wants it.
pub fn identity(
    key: &NodeKey,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), HostError> {
    let tls = |error: rcgen::Error| HostError::Tls(error.to_string());
    let pkcs8 = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    let pair =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ED25519).map_err(tls)?;
    let mut params = rcgen::CertificateParams::new(vec!["duckblind".to_owned()]).map_err(tls)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let certificate = params.self_signed(&pair).map_err(tls)?;
    Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(pkcs8)))
}

/// The Ed25519 key that a certificate carries.
pub fn certified_key(certificate: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    key_of_spki(&parsed.subject_public_key_info()).ok_or(Error::InvalidCertificate(
        CertificateError::ApplicationVerificationFailure,
    ))
}

/// The server's side of the handshake.
pub fn server_config(key: &NodeKey, peers: PeerPolicy) -> Result<QuicServerConfig, HostError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (certificate, secret) = identity(key)?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| HostError::Tls(error.to_string()))?
        .with_client_cert_verifier(Arc::new(PinnedClients { peers, provider }))
        .with_single_cert(vec![certificate], secret)
        .map_err(|error| HostError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![transport::ALPN.to_vec()];
    // Every connection shows its certificate again: no resumption, no early data.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    QuicServerConfig::try_from(config).map_err(|error| HostError::Tls(error.to_string()))
}

/// Accepts a client that holds an Ed25519 key which the policy admits.
#[derive(Debug)]
struct PinnedClients {
    peers: PeerPolicy,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for PinnedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if !intermediates.is_empty() {
            return Err(refused);
        }
        let key = certified_key(end_entity)?;
        if !self.peers.admits(&NodeId::of_key(&key)) {
            return Err(refused);
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        if dss.scheme != SignatureScheme::ED25519 {
            return Err(Error::InvalidCertificate(CertificateError::BadSignature));
        }
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn verifier(peers: PeerPolicy) -> PinnedClients {
        PinnedClients {
            peers,
            provider: Arc::new(aws_lc_rs::default_provider()),
        }
    }

    #[test]
    fn our_certificate_carries_our_key() {
        let key = NodeKey::generate().unwrap();
        let (certificate, _) = identity(&key).unwrap();
        assert_eq!(certified_key(&certificate).unwrap(), key.public());
    }

    #[test]
    fn a_listed_key_passes_and_another_does_not() {
        let (one, two) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let only_one = verifier(PeerPolicy::Allow([one.node()].into()));
        let now = UnixTime::now();
        let (certificate, _) = identity(&one).unwrap();
        assert!(only_one.verify_client_cert(&certificate, &[], now).is_ok());
        assert!(
            only_one
                .verify_client_cert(&certificate, std::slice::from_ref(&certificate), now)
                .is_err()
        );
        let (certificate, _) = identity(&two).unwrap();
        assert!(only_one.verify_client_cert(&certificate, &[], now).is_err());
    }

    #[test]
    fn another_kind_of_key_is_refused_even_when_open() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["duckblind".to_owned()])
            .unwrap()
            .self_signed(&pair)
            .unwrap();
        let open = verifier(PeerPolicy::Open);
        assert!(
            open.verify_client_cert(certificate.der(), &[], UnixTime::now())
                .is_err()
        );
        let garbage = CertificateDer::from(vec![0x30, 0x00]);
        assert!(
            open.verify_client_cert(&garbage, &[], UnixTime::now())
                .is_err()
        );
    }
}
