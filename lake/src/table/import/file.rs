//! One file that was encrypted elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use duckblind_protocol::ids::FileId;

use super::super::error::TableError;
use super::super::export::wrapped;
use super::super::files::open_regular;
use super::super::rows::FileRows;
use super::super::virtual_file::VirtualFile;
use super::{ImportError, ImportRequest, key_id};
use crate::keys::{DataKey, FileKeys, KeyError};
use crate::manifest::{ChunkDigests, Manifest, ManifestAad, ManifestFile};
use crate::sealed_file::{
    AadPrefix, ColumnProtection, ColumnRules, FileSpec, Inspection, LakeError, LocalFile,
    ReadAt as _, SealedFile, inspect,
};

/// Largest file of key material beside a data file, in bytes.
const MAX_MATERIAL: u64 = 16 << 20;

/// What was found.
pub(super) struct Found {
    /// What the manifest says of it.
    pub(super) entry: ManifestFile,
    /// The leaves' paths, in order.
    pub(super) leaves: Vec<String>,
    pub(super) schema: SchemaRef,
    pub(super) plaintext_footer: bool,
    columns: BTreeMap<String, ColumnProtection>,
}

impl Found {
    /// Whether a leaf is in the clear; `None` if the file does not tell.
    pub(super) fn is_clear(&self, leaf: &str) -> Option<bool> {
        let protection = self.columns.get(leaf)?;
        Some(*protection == ColumnProtection::Clear)
    }

    /// Whether a leaf is encrypted, but under the footer's key.
    pub(super) fn lacks_key(&self, leaf: &str) -> bool {
        self.columns.get(leaf) == Some(&ColumnProtection::FooterKey)
    }
}

/// A file, and what it says to everybody.
struct Foreign<'a> {
    request: &'a ImportRequest<'a>,
    path: &'a str,
    source: Arc<LocalFile>,
    about: Inspection,
    aad: ManifestAad,
}

/// Opens a file with its keys and describes it.
pub(super) fn find(
    request: &ImportRequest<'_>,
    path: &str,
    version: u32,
) -> Result<Found, ImportError> {
    let file = Foreign::look(request, path)?;
    let (sealed, clear) = file.open_footer()?;
    let columns = sealed.columns().clone();
    let keys = file.keys(&columns)?;
    let sealed = file.open(copy(&keys)?, &clear, BTreeMap::new())?;
    let digests = sealed.chunk_digests().map_err(|why| file.failed(why))?;
    let sealed = file.open(copy(&keys)?, &clear, digests.clone())?;
    sealed.refuse_tagged_ctr().map_err(|why| file.failed(why))?;
    let digest = sealed.footer_digest();
    let rows = VirtualFile::new(sealed);
    let decoded = FileRows::of(rows.clone()).map_err(|error| ImportError::File {
        path: path.into(),
        why: (rows.failure()).unwrap_or_else(|| LakeError::FooterForm(error.to_string())),
    })?;
    let mut entry = ManifestFile {
        path: path.into(),
        size: file.source.len(),
        footer_digest: digest,
        file_id: FileId::random().map_err(|_| TableError::from(KeyError::Randomness))?,
        algorithm: file.about.algorithm,
        aad: file.aad.clone(),
        version: None,
        wrapped_keys: Vec::new(),
        chunk_digests: digests
            .into_iter()
            .map(|(path, digests)| (path, ChunkDigests(digests)))
            .collect(),
    };
    let footer = keys.footer.iter().map(|key| (None, key));
    let own = keys
        .columns
        .iter()
        .map(|(path, key)| (Some(path.as_str()), key));
    for (column, key) in footer.chain(own) {
        let id = key_id(request, version, column);
        let table = request.table.as_str();
        let key = wrapped(table, &entry, id, column, key, request.kms)?;
        entry.wrapped_keys.push(key);
    }
    Ok(Found {
        entry,
        leaves: decoded.leaves(),
        schema: SchemaRef::clone(decoded.schema()),
        plaintext_footer: !file.about.encrypted_footer,
        columns,
    })
}

/// Opens a file as its manifest says, decodes the first rows of every column, and gives the number
/// of its rows.
pub(super) fn probe(
    request: &ImportRequest<'_>,
    manifest: &Manifest,
    file: &ManifestFile,
) -> Result<u64, ImportError> {
    let failed = |why| ImportError::File {
        path: file.path.clone(),
        why,
    };
    let source = open_source(request.dir, &file.path)?;
    let keys = manifest
        .file_keys(file, request.kms, &mut |_| true)
        .map_err(TableError::from)?;
    let spec = manifest.file_spec(file, keys);
    let sealed = SealedFile::open(Arc::new(source), spec).map_err(failed)?;
    let count = sealed.rows();
    let rows = VirtualFile::new(sealed);
    let decoded = FileRows::of(rows.clone())
        .map_err(|error| error.to_string())
        .and_then(|mut rows| rows.batch());
    match (decoded, rows.failure()) {
        (Ok(_), None) => Ok(count),
        (_, Some(why)) => Err(failed(why)),
        (Err(why), None) => Err(failed(LakeError::FooterForm(why))),
    }
}

impl<'a> Foreign<'a> {
    fn look(request: &'a ImportRequest<'a>, path: &'a str) -> Result<Self, ImportError> {
        let failed = |why| ImportError::File {
            path: path.into(),
            why,
        };
        let source = Arc::new(open_source(request.dir, path)?);
        let about = inspect(source.as_ref()).map_err(failed)?;
        let supplied = request.aad_prefix.as_ref();
        let aad = match (&about.aad_prefix, supplied) {
            (Some(stored), Some(supplied)) if stored != supplied => {
                return Err(failed(LakeError::AadPrefix("the file stores another one")));
            }
            (Some(stored), _) => ManifestAad::Given(stored.clone()),
            (None, Some(supplied)) if about.supply_aad_prefix => {
                ManifestAad::Given(supplied.clone())
            }
            (None, None) if about.supply_aad_prefix => {
                return Err(failed(LakeError::AadPrefix("readers must bring it")));
            }
            (None, Some(_)) => return Err(failed(LakeError::AadPrefix("the file has none"))),
            (None, None) => ManifestAad::None,
        };
        Ok(Self {
            request,
            path,
            source,
            about,
            aad,
        })
    }

    fn failed(&self, why: LakeError) -> ImportError {
        ImportError::File {
            path: self.path.into(),
            why,
        }
    }

    /// Opens it with the footer's key alone, which is enough to see how columns are protected.
    fn open_footer(&self) -> Result<(SealedFile, BTreeSet<String>), ImportError> {
        let mut clear: BTreeSet<String> = (self.about.columns.iter().flatten())
            .filter(|(_, protection)| **protection == ColumnProtection::Clear)
            .map(|(path, _)| path.clone())
            .collect();
        let footer = self.key(None, self.about.footer_key_metadata.as_deref())?;
        let footer = FileKeys::uniform(footer);
        loop {
            match self.spec_open(copy(&footer)?, &clear, BTreeMap::new()) {
                // An encrypted footer tells one such column at a time.
                Err(LakeError::ColumnClear(path)) if clear.insert(path.clone()) => {}
                other => return Ok((other.map_err(|why| self.failed(why))?, clear)),
            }
        }
    }

    /// The keys of the footer and of all columns that have their own.
    fn keys(&self, columns: &BTreeMap<String, ColumnProtection>) -> Result<FileKeys, ImportError> {
        let footer = self.key(None, self.about.footer_key_metadata.as_deref())?;
        let mut keys = FileKeys::uniform(footer);
        for (path, protection) in columns {
            if let ColumnProtection::ColumnKey(metadata) = protection {
                let key = self.key(Some(path), metadata.as_deref())?;
                keys.columns.insert(path.clone(), key);
            }
        }
        Ok(keys)
    }

    fn key(&self, column: Option<&str>, metadata: Option<&[u8]>) -> Result<DataKey, ImportError> {
        let beside = |reference: &str| self.beside(reference);
        let key = self
            .request
            .keys
            .data_key(column, metadata, &beside)
            .map_err(TableError::from)?;
        key.ok_or_else(|| ImportError::Key {
            file: self.path.into(),
            column: column.map(str::to_owned),
            metadata: metadata.map(|bytes| {
                let text = String::from_utf8_lossy(bytes);
                text.chars()
                    .filter(|c| !c.is_control())
                    .take(1024)
                    .collect()
            }),
        })
    }

    /// Key material in `_KEY_MATERIAL_FOR_<file>.json`, where it is not in the file itself.
    fn beside(&self, reference: &str) -> Option<Vec<u8>> {
        let path = self.request.dir.join(self.path);
        let name = path.file_name()?.to_str()?;
        let beside = path.with_file_name(format!("_KEY_MATERIAL_FOR_{name}.json"));
        let mut bytes = Vec::new();
        let file = open_regular(&beside).ok()?;
        file.take(MAX_MATERIAL).read_to_end(&mut bytes).ok()?;
        let found: BTreeMap<String, String> = serde_json::from_slice(&bytes).ok()?;
        found.get(reference).map(|text| text.clone().into_bytes())
    }

    fn open(
        &self,
        keys: FileKeys,
        clear: &BTreeSet<String>,
        digests: BTreeMap<String, Vec<duckblind_protocol::ids::Digest>>,
    ) -> Result<SealedFile, ImportError> {
        self.spec_open(keys, clear, digests)
            .map_err(|why| self.failed(why))
    }

    fn spec_open(
        &self,
        keys: FileKeys,
        clear: &BTreeSet<String>,
        digests: BTreeMap<String, Vec<duckblind_protocol::ids::Digest>>,
    ) -> Result<SealedFile, LakeError> {
        let spec = FileSpec {
            keys,
            algorithm: None,
            aad_prefix: match &self.aad {
                ManifestAad::Given(prefix) => AadPrefix::Supplied(prefix.clone()),
                _ => AadPrefix::None,
            },
            footer_digest: None,
            size: Some(self.source.len()),
            columns: ColumnRules {
                clear: clear.clone(),
                digests,
                ..ColumnRules::default()
            },
        };
        SealedFile::open(self.source.clone(), spec)
    }
}

fn copy(keys: &FileKeys) -> Result<FileKeys, ImportError> {
    Ok(keys.copy().map_err(TableError::from)?)
}

fn open_source(dir: &Path, path: &str) -> Result<LocalFile, ImportError> {
    open_regular(&dir.join(path))
        .and_then(LocalFile::new)
        .map_err(|error| ImportError::File {
            path: path.into(),
            why: error.into(),
        })
}
