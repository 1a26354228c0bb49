//! The data keys that a query needs: of every file the footer's, and of columns with a key of their
//! own those that its SQL may touch. A table key goes nowhere.

use std::collections::BTreeSet;

use duckblind_engine::MentionedColumns;
use duckblind_lake::keys::{FileKeys, KeyError, Kms, WrapContext};
use duckblind_lake::manifest::ManifestFile;

use super::SealedTable;

/// A column that cannot be read here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingKey {
    /// The leaf column.
    pub column: String,
    /// The id of its key.
    pub key_id: String,
}

/// Data keys of a table's files, in the order of its manifest.
pub struct NeededKeys {
    /// One a file.
    pub files: Vec<FileKeys>,
    /// Columns that the SQL may touch and whose keys are not at hand. Reading one fails, and nothing
    /// else does: the SQL may name a column of another table, or an alias.
    pub missing: BTreeSet<MissingKey>,
}

impl SealedTable {
    /// Unwraps what a SELECT needs.
    pub fn keys_for(&self, sql: &str, kms: &dyn Kms) -> Result<NeededKeys, KeyError> {
        let ids = self.manifest().key_ids();
        kms.distinguish(&ids.iter().map(String::as_str).collect::<Vec<_>>())?;
        // Without column keys the SQL makes no difference.
        let mentioned = if self.has_column_keys() {
            MentionedColumns::of(sql)
        } else {
            MentionedColumns::Any
        };
        let mut needed = NeededKeys {
            files: Vec::with_capacity(self.manifest().files.len()),
            missing: BTreeSet::new(),
        };
        for file in &self.manifest().files {
            let keys = self.file_keys(file, kms, &mentioned, &mut needed.missing)?;
            needed.files.push(keys);
        }
        Ok(needed)
    }

    fn file_keys(
        &self,
        file: &ManifestFile,
        kms: &dyn Kms,
        mentioned: &MentionedColumns,
        missing: &mut BTreeSet<MissingKey>,
    ) -> Result<FileKeys, KeyError> {
        let mut keys = FileKeys::default();
        for wrapped in &file.wrapped_keys {
            let context = WrapContext {
                table: &self.manifest().table,
                file: &file.file_id,
                key_id: &wrapped.key_id,
                column: wrapped.column.as_deref(),
            };
            let Some(column) = &wrapped.column else {
                keys.footer = Some(kms.unwrap(&context, &wrapped.wrapped)?);
                continue;
            };
            if !mentioned.may_touch(column) {
                continue;
            }
            let lacks = || MissingKey {
                column: column.clone(),
                key_id: wrapped.key_id.clone(),
            };
            // Each file wraps its own data key under the same table key: asked for once.
            if missing.contains(&lacks()) {
                continue;
            }
            match kms.unwrap(&context, &wrapped.wrapped) {
                Ok(key) => {
                    keys.columns.insert(column.clone(), key);
                }
                Err(KeyError::Missing { .. }) => {
                    missing.insert(lacks());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}
