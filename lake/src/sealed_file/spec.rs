//! What is known of a file before it is opened.

use std::collections::{BTreeMap, BTreeSet};

use duckblind_protocol::ids::Digest;

use crate::keys::{DataKey, FileKeys};
use crate::manifest::{Algorithm, ColumnKey};

/// Where the AAD prefix of a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AadPrefix {
    /// From the signed manifest. A prefix that the file stores must be the same.
    Supplied(Vec<u8>),
    /// From the file itself, which must store one.
    Stored,
    /// The file was written without one.
    None,
}

/// What is known of a file before it is opened.
pub struct FileSpec {
    /// Its data keys; the keys' labels name them in errors.
    pub keys: FileKeys,
    /// How its pages must be encrypted, if that is known.
    pub algorithm: Option<Algorithm>,
    /// Its AAD prefix.
    pub aad_prefix: AadPrefix,
    /// SHA-256 of its stored footer, from the manifest.
    pub footer_digest: Option<Digest>,
    /// Its size in bytes, from the manifest.
    pub size: Option<u64>,
    /// What the manifest says of its columns.
    pub columns: ColumnRules,
}

impl FileSpec {
    /// A file of which nothing is known but one key for everything in it, and its AAD prefix.
    pub fn uniform(key: DataKey, aad_prefix: AadPrefix) -> Self {
        Self {
            keys: FileKeys::uniform(key),
            algorithm: None,
            aad_prefix,
            footer_digest: None,
            size: None,
            columns: ColumnRules::default(),
        }
    }
}

/// What the manifest says of a file's leaf columns, by path. By default every column must be
/// encrypted and nothing is known of chunks without tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRules {
    /// Columns that may be in the clear. Any other column in the clear is a downgrade.
    pub clear: BTreeSet<String>,
    /// Key ids, to name in errors what is missing.
    pub key_ids: BTreeMap<String, String>,
    /// Columns that this file has a data key for, whatever key that one is wrapped under: without it
    /// they are not read.
    pub own_keys: BTreeSet<String>,
    /// SHA-256 per stored column chunk, in the order of the row groups.
    pub digests: BTreeMap<String, Vec<Digest>>,
    /// Columns that may be read although nothing authenticates them.
    pub accept_unauthenticated: BTreeSet<String>,
}

impl ColumnRules {
    /// Which columns are in the clear, and the key ids of the others.
    pub(crate) fn of(columns: &[ColumnKey]) -> Self {
        let mut rules = Self::default();
        for column in columns {
            let path = column.path.clone();
            match &column.key_id {
                None => drop(rules.clear.insert(path)),
                Some(id) => drop(rules.key_ids.insert(path, id.clone())),
            }
        }
        rules
    }
}
