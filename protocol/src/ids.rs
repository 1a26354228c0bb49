//! Typed identifiers: never a bare array of bytes in an interface.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::coded::{Coded, Exit};

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct RandomError;

impl Coded for RandomError {
    fn code(&self) -> &'static str {
        "DB-PRO-001"
    }
    fn exit(&self) -> Exit {
        Exit::Internal
    }
}

/// Fills `buffer` with random bytes of the system's generator.
pub fn random_bytes(buffer: &mut [u8]) -> Result<(), RandomError> {
    aws_lc_rs::rand::fill(buffer).map_err(|_| RandomError)
}

/// Text that is not an identifier of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct ParseIdError {
    kind: &'static str,
    hex_digits: usize,
}

impl Coded for ParseIdError {
    fn code(&self) -> &'static str {
        "DB-PRO-002"
    }
    fn exit(&self) -> Exit {
        Exit::Usage
    }
    fn expected(&self) -> Option<String> {
        Some(format!("{} hex digits", self.hex_digits))
    }
}

/// A signature that does not hold, or a key that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl Coded for BadSignature {
    fn code(&self) -> &'static str {
        "DB-PRO-003"
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text.trim(), &mut bytes)
                    .map_err(|_| ParseIdError { kind: $kind, hex_digits: 2 * $len })?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_slice(d.bytes()?)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!("wrong length of a ", $kind)))
            }
        }
    };
}

macro_rules! random_id {
    ($($name:ident),*) => { $(
        impl $name {
            /// A fresh one from the system's randomness.
            pub fn random() -> Result<Self, RandomError> {
                let mut bytes = [0; Self::LEN];
                random_bytes(&mut bytes)?;
                Ok(Self(bytes))
            }
        }
    )* };
}

bytes_type!(
    /// One job, chosen at random by the requester.
    JobId, 16, "job id");
bytes_type!(
    /// A single-use right to submit one job, issued by the enclave.
    Ticket, 16, "ticket");
bytes_type!(
    /// One boot of an enclave.
    InstanceId, 32, "instance id");
bytes_type!(
    /// A host or requester on the network: SHA-256 of its Ed25519 transport key.
    NodeId, 32, "node id");
bytes_type!(
    /// SHA-256.
    Digest, 32, "digest");
bytes_type!(
    /// A challenge's nonce, or one of its two parts.
    Nonce, 32, "nonce");
bytes_type!(
    /// The enclave's own randomness in the keys of one result.
    ResponseNonce, 32, "response nonce");
bytes_type!(
    /// One file of a sealed table.
    FileId, 16, "file id");
bytes_type!(
    /// One outstanding challenge of a verifier.
    ChallengeId, 16, "challenge id");
bytes_type!(
    /// An Ed25519 public key.
    PublicKey, 32, "public key");
bytes_type!(
    /// An Ed25519 signature.
    Signature, 64, "signature");

random_id!(
    JobId,
    Ticket,
    InstanceId,
    Nonce,
    ResponseNonce,
    FileId,
    ChallengeId
);

impl NodeId {
    /// The id of the node that holds this transport key.
    pub fn of_key(key: &PublicKey) -> Self {
        Self(*Digest::of(key.as_bytes()).as_bytes())
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut running = Hasher::new();
        running.update(bytes);
        running.finish()
    }

    /// SHA-256 of `tag ‖ parts…`. Tags of this house end in their version and no tag is a prefix
    /// of another; parts have fixed lengths or come last.
    pub fn tagged(tag: &str, parts: &[&[u8]]) -> Self {
        let mut running = Hasher::new();
        running.update(tag.as_bytes());
        for part in parts {
            running.update(part);
        }
        running.finish()
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// SHA-256, running.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Hasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl PublicKey {
    /// The public half of `key`.
    pub fn of(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }

    /// Checks a signature, strictly: canonical encodings, no small-order keys.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature)
            .map_err(|_| BadSignature)
    }
}

impl Signature {
    /// Signs `message`.
    pub fn sign(key: &ed25519_dalek::SigningKey, message: &[u8]) -> Self {
        use ed25519_dalek::Signer as _;
        Self(key.sign(message).to_bytes())
    }
}

/// Seconds since 1970, UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C> Encode<C> for UnixTime {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.i64(self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for UnixTime {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.i64().map(Self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip_and_wrong_lengths() {
        let id = JobId::random().unwrap();
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert!("00".parse::<JobId>().is_err());
        assert!("zz".repeat(16).parse::<JobId>().is_err());
    }

    #[test]
    fn sha256_of_abc() {
        // FIPS 180-4, example 1.
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn signatures_hold_only_for_their_message() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let signature = Signature::sign(&key, b"one");
        let public = PublicKey::of(&key);
        assert_eq!(public.verify(b"one", &signature), Ok(()));
        assert_eq!(public.verify(b"two", &signature), Err(BadSignature));
        // A small-order key verifies nothing.
        let mut small = [0; 32];
        small[0] = 1;
        let zero = Signature::from_bytes([0; 64]);
        assert!(PublicKey::from_bytes(small).verify(b"x", &zero).is_err());
    }
}
