//! What an enclave says of its keys, and the challenge that makes the saying fresh.
//!
//! `report_data = SHA-512(tag ‖ SHA-256(KeyStatement) ‖ SHA-256(Challenge))`: the hardware report
//! carries it in full, so a report speaks for exactly one statement and one challenge.

use std::fmt;

use aws_lc_rs::digest;
use minicbor::{Decode, Encode};

use crate::cbor::{self, DecodeError};
use crate::ids::{Digest, InstanceId, Nonce, PublicKey};
use crate::labels;

/// Bytes of an X-Wing public key.
pub const KEM_KEY_LEN: usize = 1216;
/// Bytes that an encoded [`KeyStatement`] may have.
pub const MAX_KEY_STATEMENT: usize = 4096;
/// Bytes that an encoded [`Challenge`] may have.
pub const MAX_CHALLENGE: usize = 256;
/// The one version of both.
pub const VERSION: u8 = 1;

/// The trusted execution environments that can attest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
pub enum Tee {
    /// AMD SEV-SNP.
    #[n(1)]
    #[serde(rename = "sev-snp")]
    SevSnp,
    /// Intel TDX.
    #[n(2)]
    #[serde(rename = "tdx")]
    Tdx,
}

impl Tee {
    /// The name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
        }
    }
}

impl fmt::Display for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The one HPKE suite; there is no negotiation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
pub enum Suite {
    /// X-Wing, HKDF-SHA256, AES-256-GCM (RFC 9180, draft-ietf-hpke-pq).
    #[n(1)]
    #[serde(rename = "xwing-hkdf-sha256-aes256gcm")]
    XWingHkdfSha256Aes256Gcm,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("xwing-hkdf-sha256-aes256gcm")
    }
}

/// One per epoch: the keys of an enclave and what runs with them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyStatement {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// Must equal the kind of evidence that carries it.
    #[n(1)]
    pub tee: Tee,
    /// What jobs are sealed with.
    #[n(2)]
    pub suite: Suite,
    /// X-Wing public key, [`KEM_KEY_LEN`] bytes; one per epoch.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub kem_key: Vec<u8>,
    /// Signs tickets, refusals, acceptances and receipts; one per boot.
    #[n(4)]
    pub instance_key: PublicKey,
    /// This boot.
    #[n(5)]
    pub instance: InstanceId,
    /// Counts from 0 at boot.
    #[n(6)]
    pub epoch: u64,
    /// SHA-256 of the canonical configuration.
    #[n(7)]
    pub config: Digest,
    /// SHA-256 of the release manifest.
    #[n(8)]
    pub release: Digest,
    /// Digest of the statement of the epoch before, none in the first.
    #[n(9)]
    pub prev: Option<Digest>,
}

impl KeyStatement {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let statement: Self = cbor::decode(bytes, MAX_KEY_STATEMENT)?;
        cbor::check_version("key statement", VERSION, statement.v)?;
        if statement.kem_key.len() != KEM_KEY_LEN {
            return Err(DecodeError::Invalid("length of the KEM key"));
        }
        if statement.prev.is_some() != (statement.epoch > 0) {
            return Err(DecodeError::Invalid(
                "only the first epoch has none before it",
            ));
        }
        Ok(statement)
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// What an enclave is asked to bind its evidence to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// See [`combined_nonce`].
    #[n(1)]
    pub nonce: Nonce,
    /// SHA-256 of the SPKI of the EAR signer that the evidence is meant for.
    #[n(2)]
    pub audience: Digest,
}

impl Challenge {
    /// A challenge of this version.
    pub const fn new(nonce: Nonce, audience: Digest) -> Self {
        Self {
            v: VERSION,
            nonce,
            audience,
        }
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let challenge: Self = cbor::decode(bytes, MAX_CHALLENGE)?;
        cbor::check_version("challenge", VERSION, challenge.v)?;
        Ok(challenge)
    }
}

/// `SHA-256(tag ‖ verifier nonce ‖ requester nonce or empty)`.
pub fn combined_nonce(verifier: &Nonce, requester: Option<&Nonce>) -> Nonce {
    let own: &[u8] = requester.map_or(&[], |nonce| nonce.as_bytes());
    let digest = Digest::tagged(labels::NONCE, &[verifier.as_bytes(), own]);
    Nonce::from_bytes(*digest.as_bytes())
}

/// What a requester tells the verifier before it has seen the verifier's nonce.
pub fn nonce_commitment(requester: &Nonce) -> Digest {
    Digest::tagged(labels::NONCE_COMMITMENT, &[requester.as_bytes()])
}

/// The 64 bytes that the hardware report must carry.
pub fn report_data(key_statement: &[u8], challenge: &[u8]) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA512);
    context.update(labels::REPORT_DATA.as_bytes());
    context.update(Digest::of(key_statement).as_bytes());
    context.update(Digest::of(challenge).as_bytes());
    let mut bytes = [0; 64];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_requesters_part_changes_the_nonce() {
        let verifier = Nonce::from_bytes([1; 32]);
        let own = Nonce::from_bytes([2; 32]);
        let reused = combined_nonce(&verifier, None);
        assert_ne!(reused, combined_nonce(&verifier, Some(&own)));
        assert_ne!(reused, verifier);
    }

    #[test]
    fn report_data_binds_both() {
        let a = report_data(b"statement", b"challenge");
        assert_ne!(a, report_data(b"statement", b"challengf"));
        assert_ne!(a, report_data(b"statemenu", b"challenge"));
        // A byte moved from one to the other is seen: both are hashed first.
        assert_ne!(a, report_data(b"statementc", b"hallenge"));
    }
}
