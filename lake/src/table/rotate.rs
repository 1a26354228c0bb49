//! New table keys: every data key is wrapped anew, no data is touched.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use duckblind_protocol::ids::FileId;

use super::change::{Change, Start};
use super::error::TableError;
use super::open::Table;
use crate::keys::{DataKey, KeyError, Kms, OwnerKey, WrapContext};
use crate::manifest::{Manifest, WrappedKey};
use crate::names::KeyId;

/// Wraps all data keys of a table under the next version of its keys, which `kms` must have:
/// the table's own, and one for every column that has its own. All old keys are tried before
/// anything is written.
pub fn rotate_keys<'s>(
    start: impl Into<Start<'s>>,
    owner: &OwnerKey,
    kms: &dyn Kms,
) -> Result<Table, TableError> {
    Rotation::begin(start, owner, kms)?.wrap(kms)?.commit()
}

/// New table keys, step by step: the table's data keys are open ([`Rotation::begin`]), so new keys
/// are worth making ([`Rotation::key_ids`]); wrapped under them ([`Rotation::wrap`]), the table can
/// be theirs ([`Rotated::commit`]). Holds the table's lock.
pub struct Rotation<'a> {
    change: Change<'a>,
    old: Manifest,
    version: u32,
    /// In the manifest's order.
    opened: Vec<DataKey>,
}

impl<'a> Rotation<'a> {
    /// Opens all data keys with the keys that there are.
    pub fn begin<'s>(
        start: impl Into<Start<'s>>,
        owner: &'a OwnerKey,
        kms: &dyn Kms,
    ) -> Result<Self, TableError> {
        let mut change = Change::begin(start, owner)?;
        let (base, _) = change.parts()?;
        let old = base.manifest().manifest().clone();
        let version = old
            .key_version()
            .checked_add(1)
            .ok_or(TableError::Nothing {
                why: "the table has the last version of its keys",
            })?;
        kms.distinguish(&old.key_ids().iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut opened = Vec::new();
        for file in &old.files {
            for key in &file.wrapped_keys {
                let context = context(&old.table, &file.file_id, key);
                opened.push(kms.unwrap(&context, &key.wrapped)?);
            }
        }
        Ok(Self {
            change,
            old,
            version,
            opened,
        })
    }

    /// The ids of the new keys, in the order of today's.
    pub fn key_ids(&self) -> Vec<KeyId> {
        let ids = self.old.key_ids();
        ids.iter()
            .filter_map(|id| KeyId::parse(id))
            .map(|id| id.at_version(self.version))
            .collect()
    }

    /// Wraps all data keys under the new keys, which `kms` has beside the old ones.
    pub fn wrap(self, kms: &dyn Kms) -> Result<Rotated<'a>, TableError> {
        let mut next = self.old;
        let all: Vec<_> = next
            .key_ids()
            .into_iter()
            .map(|old| renamed(&old, self.version).map(|new| (old, new)))
            .collect::<Result<_, TableError>>()?;
        let ids: Vec<_> = all
            .iter()
            .flat_map(|(old, new)| [old.as_str(), new.as_str()])
            .collect();
        kms.distinguish(&ids)?;
        for (old, new) in &all {
            kms.differ(old, new)?;
        }
        let mut opened = self.opened.iter();
        for file in &mut next.files {
            for key in &mut file.wrapped_keys {
                let id = renamed(&key.key_id, self.version)?;
                let data_key = opened
                    .next()
                    .ok_or_else(|| KeyError::Unwrap { id: id.clone() })?;
                key.key_id = id;
                let context = context(&next.table, &file.file_id, key);
                let wrapped = kms.wrap(&context, data_key)?;
                check(kms, &context, &wrapped, data_key)?;
                key.wrapped = wrapped;
            }
        }
        for column in &mut next.columns {
            if let Some(id) = &mut column.key_id {
                *id = renamed(id, self.version)?;
            }
        }
        Ok(Rotated {
            change: self.change,
            next,
        })
    }
}

/// A rotation that only has to be made the table's state.
pub struct Rotated<'a> {
    change: Change<'a>,
    next: Manifest,
}

impl Rotated<'_> {
    /// Makes the new snapshot.
    pub fn commit(self) -> Result<Table, TableError> {
        self.change.commit(self.next)
    }
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
