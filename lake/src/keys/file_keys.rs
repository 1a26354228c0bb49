//! The data keys of one sealed file, as far as somebody has them.

use std::collections::BTreeMap;

use super::secret::DataKey;

/// The data keys of one file. What is missing only fails the reads that need it.
#[derive(Default)]
pub struct FileKeys {
    /// Of the footer, and of every column that has no key of its own.
    pub footer: Option<DataKey>,
    /// Of columns with a key of their own, by leaf path.
    pub columns: BTreeMap<String, DataKey>,
}

impl FileKeys {
    /// One key for footer and all columns.
    pub fn uniform(key: DataKey) -> Self {
        Self {
            footer: Some(key),
            columns: BTreeMap::new(),
        }
    }
}
