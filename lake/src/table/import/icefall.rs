//! The layout of IcefallDB's encrypted tables: `_encryption.json` names keys, which are used as they
//! are; `_manifest.json` names the newest of `_manifests/N.json`, and that the data files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::error::TableError;
use super::super::files::open_regular;
use super::ImportError;
use crate::keys::ForeignKeys;

/// Largest file of the layout, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// `_encryption.json`. No key is in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IcefallMarker {
    algorithm: String,
    footer_key_id: String,
    #[serde(default)]
    column_key_ids: BTreeMap<String, String>,
    aad_prefix: Option<String>,
}

#[derive(Deserialize)]
struct Pointer {
    latest: u64,
}

#[derive(Deserialize)]
struct Listing {
    format_version: u64,
    sequence: u64,
    row_groups: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    data: String,
    deletes: Option<String>,
    #[serde(default)]
    deleted_count: u64,
}

/// A table in this layout, as far as an import needs it.
pub struct Icefall {
    /// The data files of its newest snapshot, in order.
    pub files: Vec<String>,
    /// Their keys.
    pub keys: ForeignKeys,
    /// The AAD prefix of files that do not store it.
    pub aad_prefix: Option<Vec<u8>>,
}

impl IcefallMarker {
    /// Reads the text of `_encryption.json`; `None` if it is something else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

/// Reads the layout. `keys` holds the table's keys by their ids.
pub fn icefall(dir: &Path, keys: &ForeignKeys) -> Result<Icefall, ImportError> {
    let layout = |name: &str, why| ImportError::Layout {
        path: dir.join(name),
        why,
    };
    let marker_name = "_encryption.json";
    let marker: IcefallMarker = read(dir, marker_name)?;
    if marker.algorithm != "parquet-modular-encryption-v1" {
        return Err(layout(marker_name, "it names another algorithm"));
    }
    let aad_prefix = (marker.aad_prefix.as_deref())
        .filter(|text| !text.is_empty())
        .map(|text| STANDARD.decode(text))
        .transpose()
        .map_err(|_| layout(marker_name, "its AAD prefix is not base64"))?;
    let latest: Pointer = read(dir, "_manifest.json")?;
    let name = format!("_manifests/{:09}.json", latest.latest);
    let listing: Listing = read(dir, &name)?;
    if listing.format_version != 1 || listing.sequence != latest.latest {
        return Err(layout(&name, "it has another version or number"));
    }
    // What is only in a log is in no data file.
    let log = dir.join("_wal");
    match fs::read_dir(&log).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(layout("_wal", "changes wait in a log: fold them in first")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(TableError::io(&log, &error).into()),
    }
    let deleted = |entry: &Entry| entry.deletes.is_some() || entry.deleted_count > 0;
    if listing.row_groups.iter().any(deleted) {
        return Err(layout(
            &name,
            "rows are marked as deleted: compact it first",
        ));
    }
    Ok(Icefall {
        files: listing
            .row_groups
            .into_iter()
            .map(|entry| entry.data)
            .collect(),
        keys: keys.by_ids(&marker.footer_key_id, &marker.column_key_ids),
        aad_prefix,
    })
}

fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<T, ImportError> {
    let path = dir.join(name);
    let failed = |error: &std::io::Error| TableError::io(&path, error);
    let mut bytes = Vec::new();
    open_regular(&path)
        .and_then(|file| file.take(MAX_JSON).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|_| ImportError::Layout {
        path,
        why: "it does not parse",
    })
}
