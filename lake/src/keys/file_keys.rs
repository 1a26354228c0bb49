//! The data keys of one sealed file, as far as somebody has them.

use std::collections::BTreeMap;

use super::error::KeyError;
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

    /// The same keys once more.
    pub(crate) fn copy(&self) -> Result<Self, KeyError> {
        let copy = |key: &DataKey| {
            DataKey::from_slice(key.expose()).map(|copy| copy.labelled(key.label()))
        };
        let columns = self.columns.iter();
        Ok(Self {
            footer: self.footer.as_ref().map(copy).transpose()?,
            columns: columns
                .map(|(path, key)| Ok((path.clone(), copy(key)?)))
                .collect::<Result<_, KeyError>>()?,
        })
    }
}
