//! `_sealed.json`, version 1: what a sealed table consists of, signed by its owner.
//!
//! One canonical form: JSON without white space, keys sorted, bytes as hex. Whatever differs from
//! it in one byte is refused, and so is an unknown key. The signature covers a tag and the same
//! form without the `signature` field.

mod canonical;
mod error;
mod file_rules;
mod rules;
#[cfg(test)]
mod rules_tests;
mod verified;

use std::collections::{BTreeMap, BTreeSet};

use duckblind_protocol::ids::{Digest, FileId, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::keys::{FileKeys, KeyError, Kms, OwnerKey, WrapContext};
use crate::names::{FIRST_KEY, KeyId, aad_prefix};
use crate::sealed_file::{AadPrefix, ColumnRules, FileSpec};

pub use error::ManifestError;
pub(crate) use file_rules::is_plain_relative;
pub use verified::VerifiedManifest;

/// The name of the manifest in a table's directory.
pub const FILE_NAME: &str = "_sealed.json";
/// The one version of this form.
pub const VERSION: u8 = 1;
/// Largest manifest, in bytes.
pub const MAX_MANIFEST: usize = 64 << 20;
/// Largest manifest that fits into a job, which has 1 MiB for everything, in bytes.
pub const MAX_JOB_MANIFEST: usize = 512 << 10;
/// Most files of one table.
pub const MAX_FILES: usize = 65_536;

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
    /// How files of the table are written, those to come included.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// The files, in order.
    pub files: Vec<ManifestFile>,
    /// Who signed.
    pub owner: PublicKey,
    /// SHA-256 of the manifest of the snapshot before; none in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
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
    /// The id of the table key, such as `orders-v1`; none where the column is in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
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
    /// How its modules are encrypted.
    pub algorithm: Algorithm,
    /// Where its AAD prefix comes from.
    #[serde(default, skip_serializing_if = "ManifestAad::is_derived")]
    pub aad: ManifestAad,
    /// The tag by which the store knows this very version, where the store gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The file's data keys, wrapped: the footer's and those of columns with a key of their own.
    pub wrapped_keys: Vec<WrappedKey>,
    /// SHA-256 of stored column chunks whose bytes carry no tags, by leaf path: of columns in the
    /// clear, and of every column of a file under AES_GCM_CTR_V1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chunk_digests: BTreeMap<String, ChunkDigests>,
}

/// How the files of a table are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// Whether footers are in the clear and signed, so that other tools see the schema without a key.
    pub plaintext_footer: bool,
    /// What files say of their AAD prefix.
    pub aad: AadStorage,
    /// Columns whose values name the files' directories, in the clear, from the outermost in.
    pub partition_by: Vec<String>,
    /// Columns that each file's rows are sorted by.
    pub sort_by: Vec<String>,
}

impl Layout {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a file says of its AAD prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AadStorage {
    /// That its readers must bring it: only who has the manifest can read.
    #[default]
    Supplied,
    /// The prefix itself: readers without the manifest can read, and do not notice a swapped file.
    Stored,
    /// That there is none.
    None,
}

/// The two algorithms of Parquet Modular Encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Every module under AES-GCM.
    #[default]
    #[serde(rename = "AES_GCM_V1")]
    Gcm,
    /// Pages under AES-CTR, without tags; all other modules under AES-GCM.
    #[serde(rename = "AES_GCM_CTR_V1")]
    GcmCtr,
}

/// Where the AAD prefix of a file comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestAad {
    /// [`crate::aad_prefix`] of table and file id. If the file stores one, it must be this.
    #[default]
    Derived,
    /// The file has none: it was encrypted elsewhere.
    None,
    /// These bytes, of a file that was encrypted elsewhere. If the file stores one, it must be this.
    Given(#[serde(with = "canonical::hex_bytes")] Vec<u8>),
}

impl ManifestAad {
    fn is_derived(&self) -> bool {
        *self == Self::Derived
    }
}

/// SHA-256 of each stored chunk of one column, in the order of the row groups. One base64 text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkDigests(#[serde(with = "canonical::base64_digests")] pub Vec<Digest>);

/// A data key under a table key, as [`crate::keys::Kms`] wraps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The table key's id.
    pub key_id: String,
    /// The leaf column under the data key; none for the footer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// In the form of whoever wraps; of [`crate::keys::wrap`] nonce, ciphertext and tag.
    #[serde(with = "canonical::hex_bytes")]
    pub wrapped: Vec<u8>,
}

impl Manifest {
    /// The data keys of one file that `kms` can open: all that `wanted` asks for, by the column they
    /// are for (`None` is the footer's). A column's key that nobody knows is left out.
    pub fn file_keys(
        &self,
        file: &ManifestFile,
        kms: &dyn Kms,
        wanted: &mut dyn FnMut(Option<&str>) -> bool,
    ) -> Result<FileKeys, KeyError> {
        let ids = self.key_ids();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        kms.distinguish(&ids)?;
        let mut keys = FileKeys::default();
        for wrapped in &file.wrapped_keys {
            let column = wrapped.column.as_deref();
            if !wanted(column) {
                continue;
            }
            let context = WrapContext {
                table: &self.table,
                file: &file.file_id,
                key_id: &wrapped.key_id,
                column,
            };
            match (column, kms.unwrap(&context, &wrapped.wrapped)) {
                (None, key) => keys.footer = Some(key?),
                // Only reads of this column fail.
                (Some(_), Err(KeyError::Missing { .. })) => {}
                (Some(column), key) => {
                    keys.columns.insert(column.to_owned(), key?);
                }
            }
        }
        Ok(keys)
    }

    /// The ids of all keys of the table: its own, and those of columns.
    pub fn key_ids(&self) -> BTreeSet<String> {
        let own = KeyId::of_table(&self.table, self.key_version());
        self.columns
            .iter()
            .filter_map(|column| column.key_id.clone())
            .chain([own.to_string()])
            .collect()
    }

    /// The one version of all of the table's keys.
    pub fn key_version(&self) -> u32 {
        let columns = self
            .columns
            .iter()
            .filter_map(|column| column.key_id.as_deref());
        let wrapped = self
            .files
            .first()
            .and_then(|file| file.wrapped_keys.first());
        columns
            .chain(wrapped.map(|key| key.key_id.as_str()))
            .find_map(KeyId::parse)
            .map_or(FIRST_KEY, |id| id.version())
    }

    /// What the engine must know to open one file, with the keys at hand.
    pub fn file_spec(&self, file: &ManifestFile, keys: FileKeys) -> FileSpec {
        let mut columns = ColumnRules::of(&self.columns);
        let own_keys = file.wrapped_keys.iter();
        columns.own_keys = own_keys.filter_map(|key| key.column.clone()).collect();
        for (path, digests) in &file.chunk_digests {
            columns.digests.insert(path.clone(), digests.0.clone());
        }
        FileSpec {
            keys,
            algorithm: Some(file.algorithm),
            aad_prefix: match &file.aad {
                ManifestAad::Derived => AadPrefix::Supplied(aad_prefix(&self.table, &file.file_id)),
                ManifestAad::Given(prefix) => AadPrefix::Supplied(prefix.clone()),
                ManifestAad::None => AadPrefix::None,
            },
            footer_digest: Some(file.footer_digest),
            size: Some(file.size),
            columns,
        }
    }
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
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    layout: Layout,
    files: Vec<ManifestFile>,
    owner: PublicKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Digest>,
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
            layout,
            files,
            owner,
            previous,
        } = self;
        Signed {
            v,
            table,
            snapshot,
            schema,
            columns,
            layout,
            files,
            owner,
            previous,
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
            layout,
            files,
            owner,
            previous,
            signature,
        } = self;
        (
            Manifest {
                v,
                table,
                snapshot,
                schema,
                columns,
                layout,
                files,
                owner,
                previous,
            },
            signature,
        )
    }
}
