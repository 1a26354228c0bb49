//! A sealed job as it travels: all that a host ever sees of it.

use minicbor::{Decode, Encode};

use crate::body::Section;
use crate::cbor::{self, DecodeError};
use crate::frames::MAX_CONTROL;
use crate::ids::Digest;

/// Bytes of an X-Wing encapsulation.
pub const ENC_LEN: usize = 1120;
/// The one version of a sealed job.
pub const VERSION: u8 = 1;

/// One sealed section.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedSection {
    /// Which one.
    #[n(0)]
    pub name: Section,
    /// AES-256-GCM under the section's own exported key.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub ciphertext: Vec<u8>,
}

/// One HPKE encapsulation with the order and the sections sealed under it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedJob {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// SHA-256 of the key statement that it is sealed to.
    #[n(1)]
    pub key_statement: Digest,
    /// HPKE encapsulation, [`ENC_LEN`] bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub enc: Vec<u8>,
    /// HPKE message 0.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub order: Vec<u8>,
    /// The body.
    #[n(4)]
    pub sections: Vec<SealedSection>,
}

impl SealedJob {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let job: Self = cbor::decode(bytes, MAX_CONTROL)?;
        cbor::check_version("sealed job", VERSION, job.v)?;
        if job.enc.len() != ENC_LEN {
            return Err(DecodeError::Invalid("length of the encapsulation"));
        }
        let ascending = job.sections.is_sorted_by(|a, b| a.name < b.name);
        if job.sections.is_empty() || !ascending {
            return Err(DecodeError::Invalid(
                "sections missing, repeated or out of order",
            ));
        }
        Ok(job)
    }

    /// SHA-256 of the encapsulation: names this sealing before it is opened.
    pub fn enc_digest(&self) -> Digest {
        Digest::of(&self.enc)
    }
}
