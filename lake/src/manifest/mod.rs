//! `_sealed.json`, version 1: what a sealed table consists of, signed by its owner.
//!
//! One canonical form: JSON without white space, keys sorted, bytes as hex. Whatever differs from
//! it in one byte is refused, and so is an unknown key. The signature covers a tag and the same
//! form without the `signature` field.

mod canonical;
mod error;
mod rules;
mod verified;

use duckblind_protocol::ids::{Digest, FileId, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::keys::OwnerKey;

pub use error::ManifestError;
pub use verified::VerifiedManifest;

/// The name of the manifest in a table's directory.
pub const FILE_NAME: &str = "_sealed.json";
/// The one version of this form.
pub const VERSION: u8 = 1;
/// Largest manifest, in bytes: it travels inside a job, which has 1 MiB.
pub const MAX_MANIFEST: usize = 512 * 1024;
/// Most files of one table.
pub const MAX_FILES: usize = 4096;

const SIGNATURE_TAG: &[u8] = b"duckblind/v1/manifest";

/// A manifest's content, before it is signed or after it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub v: u8,
    /// The table's name.
    pub table: String,
    /// Counts the versions of one table, from 1.
    pub snapshot: u64,
    /// The columns, for people: the engine reads them from the files.
    pub schema: Vec<SchemaField>,
    /// Every leaf column and the id of the key that its data is under.
    pub columns: Vec<ColumnKey>,
    /// The files, in order.
    pub files: Vec<ManifestFile>,
    /// Who signed.
    pub owner: PublicKey,
}

/// One column of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaField {
    /// Its name.
    pub name: String,
    /// Its Arrow type, such as `Int64`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
}

/// One leaf column's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnKey {
    /// The leaf's path, parts joined by `.`.
    pub path: String,
    /// The id of the table key, such as `orders-v1`.
    pub key_id: String,
}

/// One sealed Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Relative to the manifest's directory.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 from the first byte of the encrypted footer to the end of the file.
    pub footer_digest: Digest,
    /// Random, part of the AAD prefix.
    pub file_id: FileId,
    /// The file's data keys, wrapped.
    pub wrapped_keys: Vec<WrappedKey>,
}

/// A data key under a table key, as [`crate::keys::wrap`] makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The table key's id.
    pub key_id: String,
    /// Nonce, ciphertext and tag.
    #[serde(with = "canonical::hex_bytes")]
    pub wrapped: Vec<u8>,
}

/// A manifest with its signature: what is on disk.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    v: u8,
    table: String,
    snapshot: u64,
    schema: Vec<SchemaField>,
    columns: Vec<ColumnKey>,
    files: Vec<ManifestFile>,
    owner: PublicKey,
    signature: Signature,
}

impl Manifest {
    /// Checks the content, signs it and gives the bytes of `_sealed.json`. The manifest must name
    /// `key`'s public half as owner.
    pub fn sign(self, key: &OwnerKey) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        if self.owner != key.public() {
            return Err(ManifestError::Owner {
                expected: key.public(),
                got: self.owner,
            });
        }
        let signature = key.sign(&self.signed_bytes()?);
        let bytes = canonical::encode(&self.with(signature))?;
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::Size { got: bytes.len() });
        }
        Ok(bytes)
    }

    fn signed_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = SIGNATURE_TAG.to_vec();
        bytes.extend(canonical::encode(self)?);
        Ok(bytes)
    }

    fn with(self, signature: Signature) -> Signed {
        let Self {
            v,
            table,
            snapshot,
            schema,
            columns,
            files,
            owner,
        } = self;
        Signed {
            v,
            table,
            snapshot,
            schema,
            columns,
            files,
            owner,
            signature,
        }
    }
}

impl Signed {
    fn split(self) -> (Manifest, Signature) {
        let Self {
            v,
            table,
            snapshot,
            schema,
            columns,
            files,
            owner,
            signature,
        } = self;
        (
            Manifest {
                v,
                table,
                snapshot,
                schema,
                columns,
                files,
                owner,
            },
            signature,
        )
    }
}
