//! What a manifest may say, on the way in and on the way out.

use std::collections::BTreeSet;

use super::error::ManifestError;
use super::{MAX_FILES, Manifest, ManifestAad, ManifestFile, VERSION};
use crate::keys::WRAPPED_OVERHEAD;
use crate::names::{KeyId, TableName};

const MAX_PATH: usize = 255;
const MAX_COLUMNS: usize = 32_767;
/// Longest AAD prefix, in bytes.
const MAX_AAD_PREFIX: usize = 256;

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
        if self.schema.is_empty() || self.schema.len() > MAX_COLUMNS {
            return refuse(format!("{} columns", self.schema.len()));
        }
        if self.columns.is_empty() || self.columns.len() > MAX_COLUMNS {
            return refuse(format!("{} leaf columns", self.columns.len()));
        }
        let key_ids = || {
            self.columns
                .iter()
                .filter_map(|column| column.key_id.as_deref())
        };
        if key_ids().any(|id| !self.is_own(id)) {
            return refuse("a column key that is not the table's".into());
        }
        if self.files.is_empty() || self.files.len() > MAX_FILES {
            return refuse(format!("{} files", self.files.len()));
        }
        let mut paths = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for file in &self.files {
            file.check(self)?;
            if !paths.insert(&file.path) || !ids.insert(file.file_id) {
                return refuse("a file twice".into());
            }
        }
        Ok(())
    }

    /// Whether a key id is one of this table.
    fn is_own(&self, id: &str) -> bool {
        KeyId::parse(id).is_some_and(|id| id.table() == self.table)
    }
}

impl ManifestFile {
    fn check(&self, manifest: &Manifest) -> Result<(), ManifestError> {
        let refuse = |why: &str| Err(ManifestError::Content(why.into()));
        if !is_plain_relative(&self.path) {
            return refuse("a path that may leave the table's directory");
        }
        // The smallest sealed file: two magics, a length, a footer.
        if self.size < 16 || self.size > i64::MAX.cast_unsigned() {
            return refuse("a file size");
        }
        let mut columns = BTreeSet::new();
        for wrapped in &self.wrapped_keys {
            if !manifest.is_own(&wrapped.key_id) {
                return refuse("a wrapped key that is not under a key of the table");
            }
            if !columns.insert(&wrapped.column) {
                return refuse("two wrapped keys of a file for one thing");
            }
            let length = wrapped.wrapped.len().checked_sub(WRAPPED_OVERHEAD);
            if !matches!(length, Some(16 | 24 | 32)) {
                return refuse("the length of a wrapped key");
            }
        }
        if !columns.contains(&None) {
            return refuse("no wrapped key of a file's footer");
        }
        if matches!(&self.aad, ManifestAad::Given(prefix) if prefix.is_empty() || prefix.len() > MAX_AAD_PREFIX)
        {
            return refuse("the length of an AAD prefix");
        }
        Ok(())
    }
}

/// Parts of letters, digits and `._-=`, none of them hidden, `.` or `..`.
fn is_plain_relative(path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-=".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain_relative;

    #[test]
    fn paths() {
        for good in ["a.parquet", "year=2024/part-00000-ab12.parquet", "a/b/c"] {
            assert!(is_plain_relative(good), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "..", "a/../b", "./a", ".a", "a b", "a\\b", "a\0", "ä",
        ] {
            assert!(!is_plain_relative(bad), "{bad}");
        }
        assert!(!is_plain_relative(&"a".repeat(256)));
    }
}
