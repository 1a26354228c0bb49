//! What remains of a job: the requester's job receipt and the operator's usage record.

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};

use crate::cbor::{self, DecodeError};
use crate::coded::{Coded, Exit};
use crate::ids::{BadSignature, Digest, JobId, PublicKey, Signature};
use crate::job_code::JobCode;
use crate::labels;
use crate::signed::{check_bytes, sign_bytes};

/// Bytes that a signed receipt may have.
pub const MAX_RECEIPT: usize = 64 << 10;
/// The one version of receipts and usage records.
pub const VERSION: u8 = 1;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The query process ended its result stream; only the final chunk says whether the result is
    /// whole.
    #[n(0)]
    Ok,
    /// It did not.
    #[n(1)]
    Failed(#[n(0)] JobCode),
}

impl Outcome {
    /// `ok` or the failure's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(code) => code.code(),
        }
    }
}

/// An outcome, signed by the supervisor and sealed to the requester.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobReceipt {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// The job.
    #[n(1)]
    pub job: JobId,
    /// Digest of the key statement that it was sealed to.
    #[n(2)]
    pub key_statement: Digest,
    /// SHA-256 of the order.
    #[n(3)]
    pub order: Digest,
    /// Manifest digests of the inputs, as the order pins them.
    #[n(4)]
    pub manifests: Vec<Digest>,
    /// How it ended.
    #[n(5)]
    pub outcome: Outcome,
    /// Sealed chunks relayed, the final one included.
    #[n(6)]
    pub chunks: u64,
    /// Ciphertext bytes of those chunks.
    #[n(7)]
    pub bytes: u64,
    /// Their transcript hash.
    #[n(8)]
    pub transcript: Digest,
    /// Milliseconds after the ticket.
    #[n(9)]
    pub accepted_ms: u64,
    /// Milliseconds after the ticket.
    #[n(10)]
    pub ended_ms: u64,
    /// Whether the platform is a simulated one.
    #[n(11)]
    pub sim: bool,
}

/// What the operator learns of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageRecord {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// The job.
    #[n(1)]
    pub job: JobId,
    /// Ciphertext bytes relayed.
    #[n(2)]
    pub bytes: u64,
    /// CPU time of its processes, milliseconds.
    #[n(3)]
    pub cpu_ms: u64,
    /// How it ended.
    #[n(4)]
    pub outcome: OutcomeClass,
}

/// Outcomes, as coarse as an operator needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum OutcomeClass {
    /// It ended by itself.
    #[n(0)]
    Ended,
    /// Its requester cancelled it or went away.
    #[n(1)]
    Cancelled,
    /// It hit a limit.
    #[n(2)]
    Limit,
    /// It died, or the enclave shut down.
    #[n(3)]
    Died,
}

impl OutcomeClass {
    /// Its name in the operator's usage log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
            Self::Limit => "limit",
            Self::Died => "died",
        }
    }
}

/// A receipt or record that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not signed by the attested key.
    #[error("the receipt is not signed by the attested instance key")]
    Signature(#[from] BadSignature),
    /// Not a receipt.
    #[error("the receipt is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

impl Coded for ReceiptError {
    fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) => "DB-PRO-060",
            Self::Malformed(_) => "DB-PRO-061",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Signature(_) => Exit::Rejected,
            Self::Malformed(_) => Exit::Malformed,
        }
    }
}

macro_rules! signed_record {
    ($(#[$doc:meta])* $signed:ident of $record:ident, $what:literal, $tag:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
        #[cbor(map)]
        pub struct $signed {
            /// The exact bytes that are signed.
            #[n(0)]
            #[cbor(with = "minicbor::bytes")]
            pub body: Vec<u8>,
            /// By the instance key.
            #[n(1)]
            pub signature: Signature,
        }

        impl $signed {
            /// Signs a record.
            pub fn sign(key: &SigningKey, record: &$record) -> Self {
                let body = cbor::encode(record);
                let signature = sign_bytes($tag, &body, key);
                Self { body, signature }
            }

            /// The record, if the signature of `key` holds.
            pub fn verify(&self, key: &PublicKey) -> Result<$record, ReceiptError> {
                check_bytes($tag, &self.body, &self.signature, key)?;
                let record: $record = cbor::decode(&self.body, MAX_RECEIPT)?;
                cbor::check_version($what, VERSION, record.v)?;
                Ok(record)
            }

            /// Canonical bytes.
            pub fn encode(&self) -> Vec<u8> {
                cbor::encode(self)
            }

            /// From canonical bytes; nothing is verified yet.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                cbor::decode(bytes, MAX_RECEIPT)
            }
        }
    };
}

signed_record!(
    /// A signed [`JobReceipt`].
    SignedReceipt of JobReceipt, "job receipt", labels::SIGN_RECEIPT);
signed_record!(
    /// A signed [`UsageRecord`].
    SignedUsage of UsageRecord, "usage record", labels::SIGN_USAGE);
