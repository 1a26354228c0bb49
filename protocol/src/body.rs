//! The part of a job that only its own processes open.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder};
use zeroize::Zeroizing;

use crate::cbor::{self, DecodeError};
use crate::ids::{FileId, PublicKey};

/// Bytes that one section may have, opened.
pub const MAX_SECTION: usize = 1 << 20;
/// The one version of a section.
pub const VERSION: u8 = 2;

/// The sections, each for one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Section {
    /// SQL, Parquet keys, manifests: for the query process.
    #[n(1)]
    Query,
    /// Credentials: for the fetcher.
    #[n(2)]
    Fetcher,
}

impl Section {
    /// The name in the key schedule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fetcher => "fetcher",
        }
    }
}

/// Secret bytes on the wire, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<C> Encode<C> for SecretBytes {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for SecretBytes {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self::new(d.bytes()?.to_vec()))
    }
}

/// Secret text on the wire (SQL), wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<C> Encode<C> for SecretText {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for SecretText {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self::new(d.str()?.to_owned()))
    }
}

/// A data key of one sealed file.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FileKey {
    /// Which file, as its manifest names it.
    #[n(0)]
    pub file: FileId,
    /// 16, 24 or 32 bytes.
    #[n(1)]
    pub key: SecretBytes,
    /// The leaf column that it is for; none for the footer's.
    #[n(2)]
    pub column: Option<String>,
}

/// One table that the query may name.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct QueryInput {
    /// Its name in SQL; the same as in `order`.
    #[n(0)]
    pub name: String,
    /// The exact bytes of its `_sealed.json`.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub manifest: Vec<u8>,
    /// Who must have signed the manifest.
    #[n(2)]
    pub owner: PublicKey,
    /// Of every file the footer's key, and those of the columns that the query reads.
    #[n(3)]
    pub keys: Vec<FileKey>,
    /// Leaf columns that may be read although nothing authenticates them.
    #[n(4)]
    pub accept_unauthenticated: Vec<String>,
}

/// What the query process needs, and nobody else sees.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct QuerySection {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// One SELECT.
    #[n(1)]
    pub sql: SecretText,
    /// In the order of `order.inputs`.
    #[n(2)]
    pub inputs: Vec<QueryInput>,
}

impl fmt::Debug for QuerySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerySection")
            .field("inputs", &self.inputs.len())
            .finish_non_exhaustive()
    }
}

impl QuerySection {
    /// Canonical bytes, wiped when dropped.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(cbor::encode(self))
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let section: Self = cbor::decode(bytes, MAX_SECTION)?;
        cbor::check_version("query section", VERSION, section.v)?;
        Ok(section)
    }
}
