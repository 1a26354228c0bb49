//! What a manifest may say, on the way in and on the way out.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ManifestError;
use super::{MAX_FILES, Manifest, VERSION};
use crate::names::{KeyId, TableName};

/// Most columns, and most row groups of a file: the format's ordinals end there.
pub(super) const MAX_ORDINAL: usize = 32_767;
/// Longest name of a column or path of a leaf, in bytes.
const MAX_NAME: usize = 4096;
/// Longest name of a type, in bytes: those of nested columns hold all of their fields.
const MAX_TYPE: usize = 1 << 20;

/// What the rules for files need to know of the table.
pub(super) struct Known<'a> {
    pub(super) table: &'a str,
    /// The version of all key ids.
    pub(super) version: u32,
    /// Leaf columns and the ids of their keys.
    pub(super) columns: BTreeMap<&'a str, Option<KeyId>>,
}

impl Manifest {
    /// Checks all that can be checked without the files.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        if self.v != VERSION {
            return Err(ManifestError::Version { got: self.v.into() });
        }
        let refuse = |why: String| Err(ManifestError::Content(why));
        if self.table.parse::<TableName>().is_err() {
            return refuse("the table's name".into());
        }
        if self.snapshot == 0 {
            return refuse("snapshot 0".into());
        }
        if (self.snapshot > 1) != self.previous.is_some() {
            return refuse("a first snapshot after another, or a later one after none".into());
        }
        let names = self.check_schema()?;
        let columns = self.check_columns(&names)?;
        let known = Known {
            table: &self.table,
            version: self.check_version(&columns)?,
            columns,
        };
        self.check_layout(&names, &known)?;
        if self.files.is_empty() || self.files.len() > MAX_FILES {
            return refuse(format!("{} files", self.files.len()));
        }
        let mut paths = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for file in &self.files {
            file.check(&known)?;
            if !paths.insert(&file.path) || !ids.insert(file.file_id) {
                return refuse("a file twice".into());
            }
        }
        Ok(())
    }

    fn check_schema(&self) -> Result<BTreeSet<&str>, ManifestError> {
        let refuse = |why: String| Err(ManifestError::Content(why));
        if self.schema.is_empty() || self.schema.len() > MAX_ORDINAL {
            return refuse(format!("{} columns", self.schema.len()));
        }
        let mut names = BTreeSet::new();
        // SQL does not tell upper from lower case.
        let mut folded = BTreeSet::new();
        for field in &self.schema {
            if field.name.len() > MAX_NAME || field.data_type.len() > MAX_TYPE {
                return refuse("the length of a column's name or type".into());
            }
            if !names.insert(field.name.as_str()) {
                return refuse("a column twice".into());
            }
            if !folded.insert(field.name.to_lowercase()) {
                return refuse(
                    "two columns whose names differ in upper and lower case only".into(),
                );
            }
        }
        Ok(names)
    }

    /// The leaves: each once, each of a column that there is.
    fn check_columns<'a>(
        &'a self,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<&'a str, Option<KeyId>>, ManifestError> {
        let refuse = |why: String| Err(ManifestError::Content(why));
        if self.columns.is_empty() || self.columns.len() > MAX_ORDINAL {
            return refuse(format!("{} leaf columns", self.columns.len()));
        }
        let mut columns = BTreeMap::new();
        let mut folded = BTreeSet::new();
        for column in &self.columns {
            let path = column.path.as_str();
            if path.len() > MAX_NAME {
                return refuse("the length of a leaf column's path".into());
            }
            // A column's name may have dots in it, too.
            let mut ends = path.match_indices('.').map(|(at, _)| at);
            if !names.contains(path) && !ends.any(|at| names.contains(path.get(..at).unwrap_or("")))
            {
                return refuse("a leaf of a column that is not there".into());
            }
            let id = match column.key_id.as_deref().map(KeyId::parse) {
                None => None,
                Some(Some(id))
                    if id.table() == self.table && id.column().is_none_or(|own| own == path) =>
                {
                    Some(id)
                }
                Some(_) => return refuse("a column key that is not the table's".into()),
            };
            if columns.insert(path, id).is_some() {
                return refuse("a leaf column twice".into());
            }
            if !folded.insert(path.to_lowercase()) {
                return refuse("two leaf columns that differ in upper and lower case only".into());
            }
        }
        Ok(columns)
    }

    /// One version for all keys.
    fn check_version(&self, columns: &BTreeMap<&str, Option<KeyId>>) -> Result<u32, ManifestError> {
        let footers = self.files.iter().filter_map(|file| {
            let mut keys = file.wrapped_keys.iter();
            keys.find(|key| key.column.is_none())
                .and_then(|key| KeyId::parse(&key.key_id))
        });
        let mut versions = columns
            .values()
            .flatten()
            .map(KeyId::version)
            .chain(footers.map(|id| id.version()));
        let Some(version) = versions.next() else {
            return Err(ManifestError::Content("no key at all".into()));
        };
        if versions.any(|other| other != version) {
            return Err(ManifestError::Content("keys of several versions".into()));
        }
        Ok(version)
    }

    fn check_layout(&self, names: &BTreeSet<&str>, known: &Known<'_>) -> Result<(), ManifestError> {
        let refuse = |why: &str| Err(ManifestError::Content(why.into()));
        for list in [&self.layout.partition_by, &self.layout.sort_by] {
            let once: BTreeSet<_> = list.iter().collect();
            if once.len() != list.len() || !list.iter().all(|name| names.contains(name.as_str())) {
                return refuse("a partition or sort column that is not there, or twice");
            }
        }
        for name in &self.layout.partition_by {
            match known.columns.get(name.as_str()) {
                None => return refuse("a partition column that is no plain column"),
                Some(Some(id)) if id.column().is_some() => {
                    return refuse("a partition column with a key of its own");
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
