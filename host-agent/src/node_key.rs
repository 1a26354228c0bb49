//! The node's Ed25519 key: who this host is to requesters and to the verifier.
//!
//! It opens no job. File format: one line, `ed25519-secret:<64 hex digits>`, mode 0600.

use std::path::{Path, PathBuf};

use duckblind_protocol::ids::{Digest, NodeId, PublicKey, Signature, random_bytes};
use duckblind_protocol::key_file;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::error::HostError;
use crate::files;

/// DER of a SubjectPublicKeyInfo with algorithm Ed25519, up to the key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// DER of a PrivateKeyInfo with algorithm Ed25519, up to the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The node's signing key. Not printable, not copyable; wiped on drop.
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// Makes one from the system's randomness.
    pub fn generate() -> Result<Self, HostError> {
        let mut seed = Zeroizing::new([0; 32]);
        random_bytes(&mut *seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads the key file.
    pub fn load(path: &Path) -> Result<Self, HostError> {
        let text = files::read_secret(path, "the node key")?;
        let malformed = || HostError::FileMalformed {
            what: "the node key",
            path: path.to_owned(),
            expected: "one line ed25519-secret:<64 hex digits>",
        };
        let line = std::str::from_utf8(&text).map_err(|_| malformed())?;
        key_file::parse_secret(line)
            .map(Self)
            .map_err(|_| malformed())
    }

    /// Writes `node.key` (0600) and `node.pub` into `dir`; refuses to overwrite.
    pub fn write(&self, dir: &Path) -> Result<KeyFiles, HostError> {
        std::fs::create_dir_all(dir).map_err(|source| HostError::Unwritable {
            path: dir.to_owned(),
            source,
        })?;
        let line = key_file::format_secret(&self.0);
        let made = KeyFiles {
            secret: dir.join("node.key"),
            public: dir.join("node.pub"),
        };
        files::write_new(&made.secret, 0o600, line.as_bytes())?;
        files::write_new(
            &made.public,
            0o644,
            key_file::format_public(&self.public()).as_bytes(),
        )?;
        Ok(made)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::of(&self.0)
    }

    /// The node id: SHA-256 of the public half.
    pub fn node(&self) -> NodeId {
        NodeId::of_key(&self.public())
    }

    /// Signs a message of the registry's protocol.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::sign(&self.0, message)
    }

    /// The key as PKCS #8 (RFC 8410, version 1), for the TLS library.
    pub(crate) fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let seed = Zeroizing::new(self.0.to_bytes());
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + seed.len()));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(seed.as_slice());
        der
    }
}

/// Where [`NodeKey::write`] put the two halves.
#[derive(Debug)]
pub struct KeyFiles {
    /// The secret half.
    pub secret: PathBuf,
    /// The public half.
    pub public: PathBuf,
}

/// The Ed25519 key in a SubjectPublicKeyInfo, if it is one and nothing else.
pub fn key_of_spki(spki: &[u8]) -> Option<PublicKey> {
    spki.strip_prefix(&SPKI_PREFIX)
        .and_then(PublicKey::from_slice)
}

/// What challenges name as audience: SHA-256 of the SubjectPublicKeyInfo of the EAR signer in
/// `path` (one line, `ed25519:<64 hex digits>`).
pub fn ear_audience(path: &Path) -> Result<Digest, HostError> {
    let malformed = || HostError::FileMalformed {
        what: "the EAR signer's public key",
        path: path.to_owned(),
        expected: "one line ed25519:<64 hex digits>",
    };
    let bytes = files::read_small(path, "the EAR signer's public key", 4096)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let key = key_file::parse_public(text).map_err(|_| malformed())?;
    let mut spki = SPKI_PREFIX.to_vec();
    spki.extend_from_slice(key.as_bytes());
    Ok(Digest::of(&spki))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn written_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::generate().unwrap();
        let made = key.write(dir.path()).unwrap();
        assert_eq!(NodeKey::load(&made.secret).unwrap().node(), key.node());
        let public = std::fs::read_to_string(&made.public).unwrap();
        assert_eq!(public, format!("ed25519:{}\n", key.public()));
        assert!(key.write(dir.path()).is_err(), "an existing key stays");
    }

    #[test]
    fn nonsense_is_malformed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a", String::new()),
            ("b", "ed25519-secret:00".to_owned()),
            ("c", format!("ed25519:{}", "00".repeat(32))),
            ("d", format!("ed25519-secret:{}\nmore", "00".repeat(32))),
        ] {
            let path = dir.path().join(name);
            files::write_new(&path, 0o600, text.as_bytes()).unwrap();
            let error = NodeKey::load(&path).err().expect("refused");
            assert_eq!(error.code(), "DB-HST-010", "{name}");
        }
    }

    #[test]
    fn only_an_ed25519_key_is_taken_from_an_spki() {
        let mut spki = SPKI_PREFIX.to_vec();
        spki.extend([9; 32]);
        assert_eq!(key_of_spki(&spki), Some(PublicKey::from_bytes([9; 32])));
        assert_eq!(key_of_spki(spki.get(..43).unwrap()), None);
        spki.push(0);
        assert_eq!(key_of_spki(&spki), None);
        // X25519 (…6e) is another algorithm.
        let mut other = SPKI_PREFIX.to_vec();
        *other.get_mut(8).unwrap() = 0x6e;
        other.extend([9; 32]);
        assert_eq!(key_of_spki(&other), None);
    }
}
