//! The key that names this requester on the network. It seals and signs no job: order and
//! transport keys are different keys.

use std::path::Path;

use duckblind_protocol::ids::{NodeId, PublicKey, random_bytes};
use duckblind_protocol::key_file;
use ed25519_dalek::SigningKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::error::ClientError;
use crate::files::{self, FileError};

/// PKCS#8 of an Ed25519 key up to its seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Reads a signing key from a file of the form `ed25519-secret:<hex>`, mode 0600.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, FileError> {
    let bytes = files::read_secret(path)?;
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| key_file::parse_secret(text).ok())
        .ok_or_else(|| FileError::Contents {
            path: path.into(),
            wanted: "a key file (`ed25519-secret:<hex>`)",
        })
}

/// Reads a signing key; if there is no file, makes the key and the file, mode 0600.
/// Also says whether it is new.
pub fn signing_key_at(path: &Path) -> Result<(SigningKey, bool), FileError> {
    match read_signing_key(path) {
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        other => return other.map(|key| (key, false)),
    }
    let mut secret = Zeroizing::new([0; 32]);
    random_bytes(secret.as_mut()).map_err(|e| FileError::write(path)(std::io::Error::other(e)))?;
    let key = SigningKey::from_bytes(&secret);
    match files::create_new(path, 0o600, key_file::format_secret(&key).as_bytes()) {
        // Another process was faster: its key counts.
        Err(FileError::Exists(_)) => read_signing_key(path).map(|key| (key, false)),
        other => other.map(|()| (key, true)),
    }
}

/// A transport key with the self-signed certificate that carries it.
pub struct Identity {
    node: NodeId,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// From the key file at `path`, made at first use.
    pub fn at(path: &Path) -> Result<Self, ClientError> {
        let (key, _) = signing_key_at(path)?;
        Self::of(&key)
    }

    /// From a key in memory.
    pub fn of(key: &SigningKey) -> Result<Self, ClientError> {
        let tls = |e: &dyn std::fmt::Display| ClientError::Tls(e.to_string());
        let mut document = Vec::with_capacity(PKCS8_PREFIX.len() + 32);
        document.extend_from_slice(&PKCS8_PREFIX);
        document.extend_from_slice(key.as_bytes());
        let pkcs8 = PrivatePkcs8KeyDer::from(document);
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ED25519)
            .map_err(|e| tls(&e))?;
        let certificate = rcgen::CertificateParams::new(vec!["duckblind".to_owned()])
            .and_then(|params| params.self_signed(&pair))
            .map_err(|e| tls(&e))?;
        Ok(Self {
            node: NodeId::of_key(&PublicKey::of(key)),
            certificate: certificate.der().clone(),
            key: pkcs8,
        })
    }

    /// How hosts know this requester.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub").join("identity.key");
        let (first, made) = signing_key_at(&path).unwrap();
        assert!(made);
        let (second, made) = signing_key_at(&path).unwrap();
        assert!(!made);
        assert_eq!(first.to_bytes(), second.to_bytes());
        assert_eq!(
            Identity::of(&first).unwrap().node(),
            &NodeId::of_key(&PublicKey::of(&first))
        );
    }

    #[test]
    fn anything_else_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        crate::files::create_new(&path, 0o600, b"ed25519:00").unwrap();
        assert_eq!(read_signing_key(&path).unwrap_err().code(), "DB-REQ-006");
    }
}
