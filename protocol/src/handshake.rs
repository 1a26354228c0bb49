//! The messages around a job: hello and ticket, challenge, refused, accepted, epoch notes, and
//! what the host says for itself.

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};

use crate::cbor::{self, DecodeError};
use crate::frames::MAX_CONTROL;
use crate::ids::{BadSignature, Digest, JobId, Nonce, PublicKey, ResponseNonce, Signature, Ticket};
use crate::job_code::JobCode;
use crate::labels;
use crate::signed::SignedFields;

/// The one version of these messages.
pub const VERSION: u8 = 1;
const UNSIGNED: Signature = Signature::from_bytes([0; 64]);

macro_rules! message {
    ($name:ident, $what:literal) => {
        impl $name {
            /// Canonical bytes.
            pub fn encode(&self) -> Vec<u8> {
                cbor::encode(self)
            }

            /// From canonical bytes.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let message: Self = cbor::decode(bytes, MAX_CONTROL)?;
                cbor::check_version($what, VERSION, message.v)?;
                Ok(message)
            }
        }
    };
}

macro_rules! signed_message {
    ($name:ident, $tag:expr, ($($field:ident: $type:ty),*)) => {
        impl SignedFields for $name {
            type Fields = (u8, $($type),*);
            const TAG: &'static str = $tag;

            fn fields(&self) -> Self::Fields {
                (self.v, $(self.$field),*)
            }
            fn signature(&self) -> &Signature {
                &self.signature
            }
            fn set_signature(&mut self, signature: Signature) {
                self.signature = signature;
            }
        }

        impl $name {
            /// Checks the signature of the attested instance key.
            pub fn verify(&self, instance: &PublicKey) -> Result<(), BadSignature> {
                self.check(instance)
            }
        }
    };
}

/// Requester → enclave: I want to submit a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
}
message!(Hello, "hello");

impl Hello {
    /// A hello of this version.
    pub const fn new() -> Self {
        Self { v: VERSION }
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

/// Towards the enclave: prove yourself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChallengeRequest {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// The verifier's part of the nonce.
    #[n(1)]
    pub verifier_nonce: Nonce,
    /// The requester's part, if it has one.
    #[n(2)]
    pub requester_nonce: Option<Nonce>,
    /// SHA-256 of the EAR signer's SPKI.
    #[n(3)]
    pub audience: Digest,
}
message!(ChallengeRequest, "challenge request");

/// Enclave → requester: the right to submit one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TicketReply {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// Single use.
    #[n(1)]
    pub ticket: Ticket,
    /// The key statement that is current.
    #[n(2)]
    pub key_statement: Digest,
    /// Milliseconds until its epoch ends.
    #[n(3)]
    pub epoch_remaining_ms: u64,
    /// By the instance key.
    #[n(4)]
    pub signature: Signature,
}
message!(TicketReply, "ticket reply");
signed_message!(TicketReply, labels::SIGN_TICKET, (ticket: Ticket, key_statement: Digest, epoch_remaining_ms: u64));

impl TicketReply {
    /// Signs a ticket.
    pub fn sign(
        key: &SigningKey,
        ticket: Ticket,
        key_statement: Digest,
        epoch_remaining_ms: u64,
    ) -> Self {
        Self {
            v: VERSION,
            ticket,
            key_statement,
            epoch_remaining_ms,
            signature: UNSIGNED,
        }
        .signed(key)
    }
}

/// Enclave → requester: no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// SHA-256 of the encapsulation of the refused job, if there was one.
    #[n(1)]
    pub enc: Option<Digest>,
    /// Why.
    #[n(2)]
    pub code: JobCode,
    /// Milliseconds after which another try makes sense.
    #[n(3)]
    pub retry_after_ms: Option<u32>,
    /// By the instance key.
    #[n(4)]
    pub signature: Signature,
}
message!(Refused, "refusal");
signed_message!(Refused, labels::SIGN_REFUSED, (enc: Option<Digest>, code: JobCode, retry_after_ms: Option<u32>));

impl Refused {
    /// Signs a refusal.
    pub fn sign(
        key: &SigningKey,
        enc: Option<Digest>,
        code: JobCode,
        retry_after_ms: Option<u32>,
    ) -> Self {
        Self {
            v: VERSION,
            enc,
            code,
            retry_after_ms,
            signature: UNSIGNED,
        }
        .signed(key)
    }
}

/// Enclave → requester: the job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Accepted {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// The job.
    #[n(1)]
    pub job: JobId,
    /// SHA-256 of its encapsulation.
    #[n(2)]
    pub enc: Digest,
    /// The key statement that it was sealed to.
    #[n(3)]
    pub key_statement: Digest,
    /// Mixed into the keys of result and status.
    #[n(4)]
    pub response_nonce: ResponseNonce,
    /// By the instance key.
    #[n(5)]
    pub signature: Signature,
}
message!(Accepted, "acceptance");
signed_message!(Accepted, labels::SIGN_ACCEPTED, (job: JobId, enc: Digest, key_statement: Digest, response_nonce: ResponseNonce));

impl Accepted {
    /// Signs an acceptance.
    pub fn sign(
        key: &SigningKey,
        job: JobId,
        enc: Digest,
        key_statement: Digest,
        response_nonce: ResponseNonce,
    ) -> Self {
        Self {
            v: VERSION,
            job,
            enc,
            key_statement,
            response_nonce,
            signature: UNSIGNED,
        }
        .signed(key)
    }
}

/// Enclave → host, on a watch connection: the epoch that is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EpochNote {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// Digest of its key statement.
    #[n(1)]
    pub key_statement: Digest,
    /// Its number.
    #[n(2)]
    pub epoch: u64,
    /// Milliseconds until it ends.
    #[n(3)]
    pub remaining_ms: u64,
}
message!(EpochNote, "epoch note");

impl EpochNote {
    /// A note of this version.
    pub const fn new(key_statement: Digest, epoch: u64, remaining_ms: u64) -> Self {
        Self {
            v: VERSION,
            key_statement,
            epoch,
            remaining_ms,
        }
    }
}

/// Why the host itself turns a stream away. Unsigned: changes nothing but back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum HostCode {
    /// Too many streams.
    #[n(1)]
    Busy,
    /// A frame beyond its cap.
    #[n(2)]
    TooLarge,
    /// The enclave does not answer.
    #[n(3)]
    EnclaveDown,
    /// Nothing was sent for too long.
    #[n(4)]
    Idle,
    /// A limit of this peer.
    #[n(5)]
    Limit,
    /// Shutting down.
    #[n(6)]
    Draining,
    /// This peer may not, or may not this.
    #[n(7)]
    NotAllowed,
}

impl HostCode {
    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooLarge => "too-large",
            Self::EnclaveDown => "enclave-down",
            Self::Idle => "idle",
            Self::Limit => "limit",
            Self::Draining => "draining",
            Self::NotAllowed => "not-allowed",
        }
    }
}

/// Host → requester: the host says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HostSays {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// Why.
    #[n(1)]
    pub code: HostCode,
    /// Milliseconds after which another try makes sense.
    #[n(2)]
    pub retry_after_ms: Option<u32>,
}
message!(HostSays, "host message");

impl HostSays {
    /// A message of this version.
    pub const fn new(code: HostCode, retry_after_ms: Option<u32>) -> Self {
        Self {
            v: VERSION,
            code,
            retry_after_ms,
        }
    }
}
