//! Files that were encrypted elsewhere, as a sealed table: a signed manifest over the same files,
//! none of which is written anew.
//!
//! Before anything is signed every file is opened with its keys, every stored byte without a tag is
//! hashed for the manifest, and the first rows of every column are decoded. What a file says of
//! itself is believed only as far as its keys authenticate it.

mod error;
mod file;
mod icefall;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::keys::{ForeignKeys, Kms, OwnerKey};
use crate::manifest::{
    ColumnKey, Layout, MAX_FILES, Manifest, SchemaField, VERSION, is_plain_relative,
};
use crate::names::{FIRST_KEY, KeyId, TableName};

use super::change::Change;
use super::error::TableError;
use super::open::Table;
use file::Found;

pub use error::ImportError;
pub use icefall::{Icefall, IcefallMarker, icefall};

/// Deepest directory that is searched for files.
const MAX_DEPTH: usize = 64;

/// What to import, and how.
pub struct ImportRequest<'a> {
    /// Where the files are, and where the manifest goes.
    pub dir: &'a Path,
    /// The table's name in SQL.
    pub table: &'a TableName,
    /// Signs the manifest.
    pub owner: &'a OwnerKey,
    /// Wraps the files' data keys.
    pub kms: &'a dyn Kms,
    /// The files, relative to the directory, in order.
    pub files: Vec<String>,
    /// Their keys.
    pub keys: &'a ForeignKeys,
    /// The AAD prefix of files that do not store theirs.
    pub aad_prefix: Option<Vec<u8>>,
    /// Leaf columns whose data keys are wrapped under keys of their own; the table's key is for
    /// all others.
    pub own_keys: Vec<String>,
}

/// A table just imported.
#[derive(Debug)]
pub struct Imported {
    /// Its first snapshot.
    pub table: Table,
    /// Rows of all files.
    pub rows: u64,
    /// Stored bytes of all files.
    pub bytes: u64,
    /// Leaf columns that are in the clear.
    pub clear: Vec<String>,
}

/// Imports files as a new table.
pub fn import(request: &ImportRequest<'_>) -> Result<Imported, ImportError> {
    for path in &request.files {
        if !is_plain_relative(path) {
            return Err(ImportError::Layout {
                path: request.dir.join(path),
                why: "this is no path of a file that a table may name",
            });
        }
    }
    if request.files.is_empty() {
        return Err(ImportError::Layout {
            path: request.dir.into(),
            why: "it has no .parquet file",
        });
    }
    let version = (request.kms.newest_version(request.table.as_str())).unwrap_or(FIRST_KEY);
    let change = Change::adopt(request.dir, request.owner)?;
    let mut found = Vec::new();
    for path in &request.files {
        found.push(file::find(request, path, version)?);
    }
    let manifest = manifest(request, &found, version)?;
    let mut rows = 0_u64;
    for file in &manifest.files {
        let count = file::probe(request, &manifest, file)?;
        rows = rows.saturating_add(count);
    }
    let bytes = manifest.files.iter().map(|file| file.size).sum();
    let clear = manifest.columns.iter();
    let clear = clear
        .filter(|column| column.key_id.is_none())
        .map(|column| column.path.clone())
        .collect();
    Ok(Imported {
        table: change.commit(manifest)?,
        rows,
        bytes,
        clear,
    })
}

/// All files below a directory whose names end in `.parquet`, sorted; hidden ones and those in
/// directories that start with `_` or `.` are left out.
pub fn parquet_files(dir: &Path) -> Result<Vec<String>, ImportError> {
    let mut files = Vec::new();
    collect(dir, "", 0, &mut files)?;
    files.sort_unstable();
    Ok(files)
}

fn collect(
    dir: &Path,
    prefix: &str,
    depth: usize,
    to: &mut Vec<String>,
) -> Result<(), ImportError> {
    let failed = |error: &std::io::Error| TableError::io(dir, error);
    for entry in fs::read_dir(dir).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let kind = entry.file_type().map_err(|error| failed(&error))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with(['.', '_'])) else {
            continue;
        };
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&entry.path(), &format!("{path}/"), depth + 1, to)?;
        } else if kind.is_file() && path.ends_with(".parquet") {
            to.push(path);
            if to.len() > MAX_FILES {
                return Err(ImportError::Layout {
                    path: dir.into(),
                    why: "it has too many files",
                });
            }
        }
    }
    Ok(())
}

/// The id of the key that the data key of a column is wrapped under.
fn key_id(request: &ImportRequest<'_>, version: u32, column: Option<&str>) -> String {
    let table = request.table.as_str();
    match column {
        Some(path) if request.own_keys.iter().any(|own| own == path) => {
            KeyId::of_column(table, version, path)
        }
        _ => KeyId::of_table(table, version),
    }
    .to_string()
}

fn manifest(
    request: &ImportRequest<'_>,
    found: &[Found],
    version: u32,
) -> Result<Manifest, ImportError> {
    let columns = columns(request, found, version)?;
    let schema = schema(found)?;
    distinct(schema.iter().map(|field| field.name.as_str()))?;
    distinct(columns.iter().map(|column| column.path.as_str()))?;
    if let Some(own) = request.own_keys.iter().find(|own| {
        let id = key_id(request, version, Some(own));
        !columns
            .iter()
            .any(|column| column.key_id.as_ref() == Some(&id))
    }) {
        return Err(TableError::Unknown {
            table: request.table.to_string(),
            what: format!("column `{own}` with a key of its own"),
        }
        .into());
    }
    let manifest = Manifest {
        v: VERSION,
        table: request.table.to_string(),
        snapshot: 1,
        schema,
        columns,
        layout: Layout {
            plaintext_footer: found.iter().all(|file| file.plaintext_footer),
            ..Layout::default()
        },
        files: found.iter().map(|file| file.entry.clone()).collect(),
        owner: request.owner.public(),
        previous: None,
    };
    let ids = manifest.key_ids();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    request.kms.distinguish(&ids).map_err(TableError::from)?;
    Ok(manifest)
}

/// The leaves of all files: in the clear everywhere or nowhere.
fn columns(
    request: &ImportRequest<'_>,
    found: &[Found],
    version: u32,
) -> Result<Vec<ColumnKey>, ImportError> {
    let mut columns: Vec<ColumnKey> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for file in found {
        if let Some(own) = request.own_keys.iter().find(|own| file.lacks_key(own)) {
            return Err(ImportError::Column {
                file: file.entry.path.clone(),
                column: own.clone(),
            });
        }
        for leaf in &file.leaves {
            // A file without rows says nothing of its columns' protection.
            let Some(clear) = file.is_clear(leaf) else {
                continue;
            };
            let key_id = (!clear).then(|| key_id(request, version, Some(leaf)));
            match places.get(leaf.as_str()).and_then(|at| columns.get(*at)) {
                None => {
                    places.insert(leaf, columns.len());
                    columns.push(ColumnKey {
                        path: leaf.clone(),
                        key_id,
                    });
                }
                Some(known) if known.key_id.is_none() == clear => {}
                Some(_) => {
                    return Err(ImportError::Mixed {
                        file: file.entry.path.clone(),
                        what: format!("column `{leaf}` is in the clear in some files only"),
                    });
                }
            }
        }
    }
    // Leaves that only such files have.
    for leaf in found.iter().flat_map(|file| &file.leaves) {
        if !places.contains_key(leaf.as_str()) {
            places.insert(leaf, columns.len());
            columns.push(ColumnKey {
                path: leaf.clone(),
                key_id: Some(key_id(request, version, Some(leaf))),
            });
        }
    }
    Ok(columns)
}

/// Refuses names that SQL cannot tell apart.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ImportError> {
    let mut seen = BTreeMap::new();
    for name in names {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return Err(ImportError::Names {
                one: other.into(),
                other: name.into(),
            });
        }
    }
    Ok(())
}

/// The columns of all files: one type each.
fn schema(found: &[Found]) -> Result<Vec<SchemaField>, ImportError> {
    let mut schema: Vec<SchemaField> = Vec::new();
    for file in found {
        for field in file.schema.fields() {
            let data_type = field.data_type().to_string();
            match schema.iter_mut().find(|known| known.name == *field.name()) {
                None => schema.push(SchemaField {
                    name: field.name().clone(),
                    data_type,
                    nullable: field.is_nullable(),
                }),
                Some(known) if known.data_type == data_type => {
                    known.nullable |= field.is_nullable();
                }
                Some(known) => {
                    return Err(ImportError::Mixed {
                        file: file.entry.path.clone(),
                        what: format!(
                            "column `{}` is {data_type}, and {} in files before",
                            known.name, known.data_type
                        ),
                    });
                }
            }
        }
    }
    for known in &mut schema {
        let everywhere = |file: &Found| file.schema.field_with_name(&known.name).is_ok();
        known.nullable |= !found.iter().all(everywhere);
    }
    Ok(schema)
}
