//! Who wraps and unwraps data keys: keys at hand, or a service that never gives its keys away.

use super::error::KeyError;
use super::provider::KeyProvider;
use super::secret::{DataKey, TableKey};
use super::wrap::{WrapContext, unwrap, wrap};

/// A holder of table keys. A key management service implements it with calls of its own; keys of
/// this machine are a [`KeyProvider`].
pub trait Kms {
    /// Wraps a data key under the table key that `context` names. Whoever implements it binds all
    /// of `context`.
    fn wrap(&self, context: &WrapContext<'_>, key: &DataKey) -> Result<Vec<u8>, KeyError>;

    /// Opens a wrapped data key; [`KeyError::Missing`] if there is no such table key here.
    fn unwrap(&self, context: &WrapContext<'_>, wrapped: &[u8]) -> Result<DataKey, KeyError>;

    /// Whether these ids, all those of one table, can be told apart here. Asked before any of
    /// them is used.
    fn distinguish(&self, _ids: &[&str]) -> Result<(), KeyError> {
        Ok(())
    }

    /// The newest version that there are keys of for a table, if that is known here.
    fn newest_version(&self, _table: &str) -> Option<u32> {
        None
    }

    /// Refuses two ids that have the same key, as far as that can be seen without the keys.
    fn differ(&self, _old: &str, _new: &str) -> Result<(), KeyError> {
        Ok(())
    }
}

impl Kms for KeyProvider {
    fn wrap(&self, context: &WrapContext<'_>, key: &DataKey) -> Result<Vec<u8>, KeyError> {
        wrap(&self.table_key(context.key_id)?, context, key)
    }

    fn unwrap(&self, context: &WrapContext<'_>, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        unwrap(&self.table_key(context.key_id)?, context, wrapped)
    }

    fn distinguish(&self, ids: &[&str]) -> Result<(), KeyError> {
        KeyProvider::distinguish(self, ids)
    }

    fn newest_version(&self, table: &str) -> Option<u32> {
        KeyProvider::newest_version(self, table)
    }

    fn differ(&self, old: &str, new: &str) -> Result<(), KeyError> {
        if self.table_key(old)?.is_same(&self.table_key(new)?) {
            return Err(KeyError::Same {
                old: old.into(),
                new: new.into(),
            });
        }
        Ok(())
    }
}

/// One key that answers to whatever id it is asked for.
impl Kms for TableKey {
    fn wrap(&self, context: &WrapContext<'_>, key: &DataKey) -> Result<Vec<u8>, KeyError> {
        wrap(self, context, key)
    }

    fn unwrap(&self, context: &WrapContext<'_>, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        unwrap(self, context, wrapped)
    }
}
