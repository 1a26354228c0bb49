//! New table keys: every data key is wrapped anew, no data is touched.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use duckblind_protocol::ids::FileId;

use super::change::Change;
use super::error::TableError;
use super::open::Table;
use crate::keys::{DataKey, KeyError, Kms, OwnerKey, WrapContext};
use crate::manifest::{Manifest, WrappedKey};
use crate::names::KeyId;

/// Wraps all data keys of a table under the next version of its keys, which `kms` must have:
/// the table's own, and one for every column that has its own. All old keys are tried before
/// anything is written.
pub fn rotate_keys(dir: &Path, owner: &OwnerKey, kms: &dyn Kms) -> Result<Table, TableError> {
    let mut change = Change::begin(dir, owner)?;
    let (base, _) = change.parts()?;
    let next = rewrapped(base.manifest(), kms)?;
    change.commit(next)
}

/// The ids of the keys that the next rotation needs, in the order of today's.
pub fn next_key_ids(manifest: &Manifest) -> Result<Vec<KeyId>, TableError> {
    let version = next_version(manifest)?;
    let ids = manifest.key_ids();
    Ok(ids
        .iter()
        .filter_map(|id| KeyId::parse(id))
        .map(|id| id.at_version(version))
        .collect())
}

fn next_version(manifest: &Manifest) -> Result<u32, TableError> {
    manifest
        .key_version()
        .checked_add(1)
        .ok_or(TableError::Nothing {
            why: "the table has the last version of its keys",
        })
}

fn rewrapped(base: &Manifest, kms: &dyn Kms) -> Result<Manifest, TableError> {
    let version = next_version(base)?;
    let old_ids = base.key_ids();
    let all: Vec<_> = old_ids
        .iter()
        .map(|old| Ok((old.clone(), renamed(old, version)?)))
        .collect::<Result<_, TableError>>()?;
    let ids: Vec<_> = all
        .iter()
        .flat_map(|(old, new)| [old.as_str(), new.as_str()])
        .collect();
    kms.distinguish(&ids)?;
    for (old, new) in &all {
        kms.differ(old, new)?;
    }
    let mut next = base.clone();
    // All of them are opened before the first is wrapped.
    let mut opened = Vec::new();
    for file in &mut next.files {
        for key in &mut file.wrapped_keys {
            let data_key = kms.unwrap(&context(&base.table, &file.file_id, key), &key.wrapped)?;
            opened.push((&file.file_id, key, data_key));
        }
    }
    for (file, key, data_key) in opened {
        key.key_id = renamed(&key.key_id, version)?;
        let context = context(&base.table, file, key);
        let wrapped = kms.wrap(&context, &data_key)?;
        check(kms, &context, &wrapped, &data_key)?;
        key.wrapped = wrapped;
    }
    for column in &mut next.columns {
        if let Some(id) = &mut column.key_id {
            *id = renamed(id, version)?;
        }
    }
    Ok(next)
}

fn context<'a>(table: &'a str, file: &'a FileId, key: &'a WrappedKey) -> WrapContext<'a> {
    WrapContext {
        table,
        file,
        key_id: &key.key_id,
        column: key.column.as_deref(),
    }
}

/// What was wrapped must open again.
fn check(
    kms: &dyn Kms,
    context: &WrapContext<'_>,
    wrapped: &[u8],
    key: &DataKey,
) -> Result<(), KeyError> {
    let again = kms.unwrap(context, wrapped)?;
    verify_slices_are_equal(again.expose(), key.expose()).map_err(|_| KeyError::Unwrap {
        id: context.key_id.into(),
    })
}

fn renamed(id: &str, version: u32) -> Result<String, TableError> {
    let id = KeyId::parse(id).ok_or_else(|| KeyError::Unwrap { id: id.into() })?;
    Ok(id.at_version(version).to_string())
}
