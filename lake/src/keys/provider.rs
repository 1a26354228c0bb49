//! Where table keys come from: first the environment, then key files, which may be descriptors.

use std::collections::BTreeMap;
use std::ffi::OsString;

use zeroize::Zeroizing;

use super::error::KeyError;
use super::key_file::KeyFile;
use super::secret::TableKey;

/// What the text of a key is.
pub const KEY_DIGITS: &str = "32, 48 or 64 hex digits";

/// The environment variable for a key id: `orders-v1` → `DUCKBLIND_KEY_ORDERS_V1`.
pub fn environment_name(id: &str) -> String {
    let id: String = id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("DUCKBLIND_KEY_{id}")
}

/// Finds table keys by id.
pub struct KeyProvider {
    files: Vec<KeyFile>,
}

impl KeyProvider {
    /// The environment and the key files behind it, in this order.
    pub fn new(files: impl IntoIterator<Item = KeyFile>) -> Self {
        Self {
            files: files.into_iter().collect(),
        }
    }

    /// Refuses two of the ids that share one environment variable, if it is set: it can hold the
    /// key of one of them only.
    pub fn distinguish(&self, ids: &[&str]) -> Result<(), KeyError> {
        distinguish_in(ids, |name| std::env::var_os(name).is_some())
    }

    /// Reads the key files that have a path again: somebody may have added keys.
    pub fn reload(&mut self) -> Result<(), KeyError> {
        self.files.iter_mut().try_for_each(KeyFile::reload)
    }

    /// The newest version that a key file has keys of for a table. The environment is not looked at:
    /// a variable's name does not tell whose key it is.
    pub fn newest_version(&self, table: &str) -> Option<u32> {
        let files = self.files.iter();
        files.filter_map(|file| file.newest_version(table)).max()
    }

    /// The key with this id, or an error that names it and every place looked at.
    pub fn table_key(&self, id: &str) -> Result<TableKey, KeyError> {
        self.table_key_from(id, |name| std::env::var_os(name))
    }

    fn table_key_from(
        &self,
        id: &str,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<TableKey, KeyError> {
        let variable = environment_name(id);
        if let Some(text) = environment(&variable) {
            let text = Zeroizing::new(text.into_encoded_bytes());
            let key = std::str::from_utf8(&text).ok();
            return key
                .and_then(|text| TableKey::from_hex(text.trim()))
                .ok_or(KeyError::Environment { name: variable });
        }
        self.files
            .iter()
            .find_map(|file| file.get(id))
            .and_then(|key| TableKey::from_hex(&key.to_hex()))
            .ok_or_else(|| KeyError::Missing {
                id: id.into(),
                variable,
                files: self.files.iter().map(|file| file.path().into()).collect(),
            })
    }
}

fn distinguish_in(ids: &[&str], is_set: impl Fn(&str) -> bool) -> Result<(), KeyError> {
    let mut seen = BTreeMap::new();
    for id in ids {
        let name = environment_name(id);
        if let Some(other) = seen.insert(name.clone(), id)
            && other != id
            && is_set(&name)
        {
            return Err(KeyError::Collision {
                name,
                one: (*other).into(),
                other: (*id).into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use duckblind_protocol::coded::Coded as _;

    use super::*;

    #[test]
    fn environment_before_file_and_missing_names_the_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
        file.insert("orders-v1", TableKey::from_hex(&"11".repeat(32)).unwrap())
            .unwrap();
        let provider = KeyProvider::new(Some(file));

        let from_file = provider.table_key_from("orders-v1", |_| None).unwrap();
        assert_eq!(from_file.expose(), &[0x11; 32]);

        let both = |name: &str| (name == "DUCKBLIND_KEY_ORDERS_V1").then(|| "22".repeat(32).into());
        assert_eq!(
            provider.table_key_from("orders-v1", both).unwrap().expose(),
            &[0x22; 32]
        );

        // A variable that holds rubbish is an error, not a reason to look further.
        let no_text = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff; 64]);
        for rubbish in ["".into(), "hello".into(), no_text] {
            assert!(matches!(
                provider.table_key_from("orders-v1", |_| Some(OsString::clone(&rubbish))),
                Err(KeyError::Environment { .. })
            ));
        }

        let error = provider.table_key_from("parts-v1", |_| None).err().unwrap();
        assert!(error.to_string().contains("parts-v1"));
        assert_eq!(error.code(), "DB-LAK-004");
    }

    #[test]
    fn the_first_file_wins_and_lengths_are_those_of_aes() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, id: &str, hex: String| {
            let mut file = KeyFile::load_or_empty(&dir.path().join(name)).unwrap();
            file.insert(id, TableKey::from_hex(&hex).unwrap()).unwrap();
            file
        };
        let one = file("one", "t-v1", "11".repeat(16));
        let two = file("two", "t-v1", "22".repeat(24));
        let mut both = file("three", "u-v1", "33".repeat(32));
        both.insert("u-v2", TableKey::from_hex(&"33".repeat(32)).unwrap())
            .unwrap();
        let provider = KeyProvider::new([one, two, both]);
        let key = |id| provider.table_key_from(id, |_| None).unwrap();
        assert_eq!(key("t-v1").expose(), [0x11; 16]);
        assert!(key("u-v1").is_same(&key("u-v2")));
        assert!(!key("u-v1").is_same(&key("t-v1")));
    }

    #[test]
    fn keys_that_were_added_since() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let mut file = KeyFile::load_to_change(&path).unwrap();
        let mut provider = KeyProvider::new([KeyFile::load_or_empty(&path).unwrap()]);
        file.insert("t-v3", TableKey::generate().unwrap()).unwrap();
        file.save().unwrap();
        assert_eq!(provider.newest_version("t"), None);
        provider.reload().unwrap();
        assert_eq!(provider.newest_version("t"), Some(3));
        provider.table_key("t-v3").unwrap();
    }

    #[test]
    fn ids_that_share_a_variable_that_is_set() {
        let ids = ["t-v1", "t-v1:a.b", "t-v1:a_b", "t-v1:a.b"];
        distinguish_in(&ids, |_| false).unwrap();
        distinguish_in(&ids, |name| name == "DUCKBLIND_KEY_T_V1").unwrap();
        let error = distinguish_in(&ids, |name| name == "DUCKBLIND_KEY_T_V1_A_B").unwrap_err();
        assert_eq!(error.code(), "DB-LAK-010");
        let text = error.to_string();
        assert!(text.contains("`t-v1:a.b`") && text.contains("`t-v1:a_b`"));
    }
}
