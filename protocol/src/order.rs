//! The part of a job that the supervisor opens: what may run, for whom, within which limits.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::body::Section;
use crate::cbor::{self, DecodeError};
use crate::ids::{Digest, JobId, PublicKey, Signature, Ticket};

/// Bytes that an order may have, opened.
pub const MAX_ORDER: usize = 1 << 20;
/// Tables in one job.
pub const MAX_INPUTS: usize = 256;
/// Files in one job, over all tables.
pub const MAX_FILES: usize = 4096;
/// Milliseconds that an order may wait for its acceptance.
pub const MAX_EXPIRY_MS: u32 = 60_000;
/// The one version of an order.
pub const VERSION: u8 = 1;

/// The least trustworthy kind of node that may run the job.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A commodity machine: public data only.
    #[n(0)]
    L0,
    /// An attested enclave.
    #[n(2)]
    L2,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L0 => "l0",
            Self::L2 => "l2",
        })
    }
}

/// What a job may use. Counted from `accepted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Limits {
    /// Wall clock, milliseconds.
    #[n(0)]
    pub wall_ms: u32,
    /// The engine's memory, bytes.
    #[n(1)]
    pub memory_bytes: u64,
    /// Arrow IPC bytes of the result.
    #[n(2)]
    pub result_bytes: u64,
    /// Worker threads.
    #[n(3)]
    pub threads: u32,
}

/// Where an input's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Provider {
    /// A directory in the enclave's configuration, for development.
    #[n(0)]
    LocalFake,
}

impl Provider {
    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalFake => "local-fake",
        }
    }
}

/// One stored file of an input.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OrderFile {
    /// Relative to the input's location.
    #[n(0)]
    pub path: String,
    /// Exact size, bytes.
    #[n(1)]
    pub size: u64,
}

/// One table: where it is, and which state of it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OrderInput {
    /// The table's name in SQL.
    #[n(0)]
    pub name: String,
    /// Where from.
    #[n(1)]
    pub provider: Provider,
    /// Relative directory in the provider.
    #[n(2)]
    pub location: String,
    /// SHA-256 of the manifest's bytes.
    #[n(3)]
    pub manifest: Digest,
    /// The manifest's snapshot number.
    #[n(4)]
    pub snapshot: u64,
    /// In the manifest's order.
    #[n(5)]
    pub files: Vec<OrderFile>,
}

/// A place that the job's fetcher may reach. None while `local-fake` is the only provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Endpoint {
    /// Name or address to dial.
    #[n(0)]
    pub host: String,
    /// TCP port.
    #[n(1)]
    pub port: u16,
    /// The name that the certificate must carry.
    #[n(2)]
    pub tls_name: String,
    /// SHA-256 of the certificate authority or of the server's key.
    #[n(3)]
    pub pin: Digest,
}

/// The sealed sections that belong to this order, by the digest of their ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SectionDigest {
    /// Which section.
    #[n(0)]
    pub name: Section,
    /// SHA-256 of its ciphertext.
    #[n(1)]
    pub digest: Digest,
}

/// A job, as the supervisor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Order {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// Chosen at random by the requester; used up once this order has authenticated.
    #[n(1)]
    pub job: JobId,
    /// From the enclave's hello.
    #[n(2)]
    pub ticket: Ticket,
    /// Minimum class of the node.
    #[n(3)]
    pub class: Class,
    /// What it may use.
    #[n(4)]
    pub limits: Limits,
    /// Milliseconds after the ticket was issued, at most [`MAX_EXPIRY_MS`].
    #[n(5)]
    pub expiry_ms: u32,
    /// What the fetcher may reach.
    #[n(6)]
    pub endpoints: Vec<Endpoint>,
    /// The tables.
    #[n(7)]
    pub inputs: Vec<OrderInput>,
    /// The sealed sections.
    #[n(8)]
    pub sections: Vec<SectionDigest>,
    /// Who asks.
    #[n(9)]
    pub requester: PublicKey,
}

impl Order {
    /// From canonical bytes, within the caps.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let order: Self = cbor::decode(bytes, MAX_ORDER)?;
        cbor::check_version("order", VERSION, order.v)?;
        let files: usize = order.inputs.iter().map(|input| input.files.len()).sum();
        if order.inputs.len() > MAX_INPUTS || files > MAX_FILES {
            return Err(DecodeError::Invalid("too many inputs"));
        }
        if order.expiry_ms > MAX_EXPIRY_MS {
            return Err(DecodeError::Invalid("expiry beyond the maximum"));
        }
        Ok(order)
    }
}

/// What the requester decides of an order; sealing adds digests, key and signature.
#[derive(Clone, Debug)]
pub struct OrderDraft {
    /// Fresh for every attempt.
    pub job: JobId,
    /// From the enclave's hello.
    pub ticket: Ticket,
    /// Minimum class.
    pub class: Class,
    /// What it may use.
    pub limits: Limits,
    /// Milliseconds after ticket issue.
    pub expiry_ms: u32,
    /// What the fetcher may reach.
    pub endpoints: Vec<Endpoint>,
    /// The tables.
    pub inputs: Vec<OrderInput>,
}

/// HPKE message 0: an order and the requester's signature over its exact bytes, over the key
/// statement and over the encapsulation.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct SignedOrder {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) order: Vec<u8>,
    #[n(1)]
    pub(crate) signature: Signature,
}

impl SignedOrder {
    pub(crate) fn message(key_statement: &Digest, enc: &Digest, order: &[u8]) -> Vec<u8> {
        [
            crate::labels::ORDER_SIGNATURE.as_bytes(),
            key_statement.as_bytes(),
            enc.as_bytes(),
            order,
        ]
        .concat()
    }
}
