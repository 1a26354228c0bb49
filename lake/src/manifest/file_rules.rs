//! What a manifest may say of one file.

use std::collections::BTreeSet;

use super::error::ManifestError;
use super::rules::{Known, MAX_ORDINAL};
use super::{Algorithm, ManifestAad, ManifestFile};
use crate::names::KeyId;

const MAX_PATH: usize = 1024;
/// Length of a wrapped data key, in bytes: key services have forms of their own.
const WRAPPED: std::ops::RangeInclusive<usize> = 16..=1024;
/// Longest AAD prefix, in bytes.
const MAX_AAD_PREFIX: usize = 256;
/// Longest version tag, in bytes.
const MAX_VERSION_TAG: usize = 256;

impl ManifestFile {
    pub(super) fn check(&self, known: &Known<'_>) -> Result<(), ManifestError> {
        let refuse = |why: &str| Err(ManifestError::Content(why.into()));
        if !is_plain_relative(&self.path) {
            return refuse("a path that may leave the table's directory");
        }
        // The smallest sealed file: two magics, a length, a footer.
        if self.size < 16 || self.size > i64::MAX.cast_unsigned() {
            return refuse("a file size");
        }
        if matches!(&self.aad, ManifestAad::Given(prefix) if prefix.is_empty() || prefix.len() > MAX_AAD_PREFIX)
        {
            return refuse("the length of an AAD prefix");
        }
        if self.version.as_ref().is_some_and(|tag| {
            tag.is_empty()
                || tag.len() > MAX_VERSION_TAG
                || !tag.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        }) {
            return refuse("a version tag");
        }
        self.check_keys(known)?;
        self.check_digests(known)
    }

    fn check_keys(&self, known: &Known<'_>) -> Result<(), ManifestError> {
        let refuse = |why: &str| Err(ManifestError::Content(why.into()));
        let mut columns = BTreeSet::new();
        for key in &self.wrapped_keys {
            let Some(id) = KeyId::parse(&key.key_id)
                .filter(|id| id.table() == known.table && id.version() == known.version)
            else {
                return refuse("a wrapped key that is not under a key of the table");
            };
            let fits = match &key.column {
                None => id.column().is_none(),
                // Under the column's own key, or one of several data keys under the table's.
                Some(path) => {
                    known.columns.get(path.as_str()).and_then(Option::as_ref) == Some(&id)
                }
            };
            if !fits {
                return refuse("a wrapped key under another key than its column's");
            }
            if !columns.insert(&key.column) {
                return refuse("two wrapped keys of a file for one thing");
            }
            if !WRAPPED.contains(&key.wrapped.len()) {
                return refuse("the length of a wrapped key");
            }
        }
        if columns.contains(&None) {
            Ok(())
        } else {
            refuse("no wrapped key of a file's footer")
        }
    }

    /// Digests are of chunks without tags only, one for each row group.
    fn check_digests(&self, known: &Known<'_>) -> Result<(), ManifestError> {
        let refuse = |why: &str| Err(ManifestError::Content(why.into()));
        let mut groups = BTreeSet::new();
        for (path, digests) in &self.chunk_digests {
            match known.columns.get(path.as_str()) {
                None => return refuse("digests of a column that is not there"),
                Some(Some(_)) if self.algorithm == Algorithm::Gcm => {
                    return refuse("digests of a column whose pages have tags");
                }
                Some(_) => {}
            }
            groups.insert(digests.0.len());
        }
        match groups.first() {
            Some(count) if groups.len() > 1 || *count > MAX_ORDINAL => {
                refuse("columns with different numbers of digests, or too many")
            }
            _ => Ok(()),
        }
    }
}

/// Parts of letters, digits and `._-=%`, none of them hidden, `.` or `..`.
pub(crate) fn is_plain_relative(path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.split('/').all(|part| {
            !part.is_empty()
                && part.len() <= 255
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-=%".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain_relative;

    #[test]
    fn paths() {
        for good in [
            "a.parquet",
            "year=2024/part-00000-ab12.parquet",
            "a/b/c",
            "name=a%20b%2F/x",
        ] {
            assert!(is_plain_relative(good), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "..", "a/../b", "./a", ".a", "a b", "a\\b", "a\0", "ä",
        ] {
            assert!(!is_plain_relative(bad), "{bad}");
        }
        assert!(!is_plain_relative(&"a".repeat(256)));
        assert!(!is_plain_relative(&["a"; 520].join("/")));
    }
}
