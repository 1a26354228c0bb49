//! Which host key the handshake accepts: the pinned one, nothing else.

use std::sync::Arc;

use der::Decode as _;
use duckblind_protocol::ids::{NodeId, PublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// id-Ed25519, RFC 8410.
const ED25519: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("1.3.101.112");

/// The Ed25519 key that a certificate carries.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let spki = parsed.tbs_certificate().subject_public_key_info();
    if spki.algorithm.oid != ED25519 || spki.algorithm.parameters.is_some() {
        return None;
    }
    PublicKey::from_slice(spki.subject_public_key.as_bytes()?)
}

/// Accepts a server that proves to hold the key of one node id. Names and dates of the certificate
/// mean nothing here: the key alone is the identity.
#[derive(Debug)]
pub(super) struct PinnedServer {
    /// None: any Ed25519 key; the caller compares it afterwards (`tofu`).
    expected: Option<NodeId>,
    provider: Arc<CryptoProvider>,
}

impl PinnedServer {
    /// Accepts this node only; with `None`, any Ed25519 key.
    pub(super) fn new(expected: Option<NodeId>, provider: Arc<CryptoProvider>) -> Self {
        Self { expected, provider }
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let key = key_of(end_entity)
            .ok_or(TlsError::InvalidCertificate(CertificateError::BadEncoding))?;
        if !intermediates.is_empty() {
            return Err(TlsError::InvalidCertificate(
                CertificateError::UnknownIssuer,
            ));
        }
        match self.expected {
            Some(expected) if expected != NodeId::of_key(&key) => Err(
                TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure),
            ),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::PeerIncompatible(
            PeerIncompatible::Tls12NotOfferedOrEnabled,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
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
    use crate::client::identity::Identity;
    use ed25519_dalek::SigningKey;

    fn verify(expected: Option<NodeId>, certificate: &CertificateDer<'_>) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        PinnedServer::new(expected, provider)
            .verify_server_cert(
                certificate,
                &[],
                &ServerName::try_from("duckblind").unwrap(),
                &[],
                UnixTime::now(),
            )
            .is_ok()
    }

    #[test]
    fn only_the_pinned_key() {
        let host = Identity::of(&SigningKey::from_bytes(&[1; 32])).unwrap();
        let other = Identity::of(&SigningKey::from_bytes(&[2; 32])).unwrap();
        let pinned = Some(*host.node());
        assert!(verify(pinned, &host.certificate()));
        assert!(!verify(pinned, &other.certificate()));
        assert!(verify(None, &other.certificate()));
    }

    #[test]
    fn other_kinds_of_keys_are_refused() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["duckblind".into()])
            .unwrap()
            .self_signed(&pair)
            .unwrap();
        assert!(!verify(None, certificate.der()));
        assert!(!verify(None, &CertificateDer::from(vec![0x30, 0x00])));
    }
}
