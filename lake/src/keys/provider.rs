//! Where table keys come from: first the environment, then the key file.

use zeroize::Zeroizing;

use super::error::KeyError;
use super::key_file::KeyFile;
use super::secret::TableKey;

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
    file: Option<KeyFile>,
}

impl KeyProvider {
    /// The environment and, if given, a key file behind it.
    pub fn new(file: Option<KeyFile>) -> Self {
        Self { file }
    }

    /// The key with this id, or an error that names it and every place looked at.
    pub fn table_key(&self, id: &str) -> Result<TableKey, KeyError> {
        self.table_key_from(id, |name| std::env::var(name).ok())
    }

    fn table_key_from(
        &self,
        id: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<TableKey, KeyError> {
        let variable = environment_name(id);
        if let Some(text) = environment(&variable).map(Zeroizing::new) {
            return TableKey::from_hex(text.trim()).ok_or(KeyError::Environment { name: variable });
        }
        self.file
            .as_ref()
            .and_then(|file| file.get(id))
            .and_then(|key| TableKey::from_hex(&key.to_hex()))
            .ok_or_else(|| KeyError::Missing {
                id: id.into(),
                variable,
                file: self.file.as_ref().map(|file| file.path().to_owned()),
            })
    }
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

        let both = |name: &str| (name == "DUCKBLIND_KEY_ORDERS_V1").then(|| "22".repeat(32));
        assert_eq!(
            provider.table_key_from("orders-v1", both).unwrap().expose(),
            &[0x22; 32]
        );

        // A variable that holds rubbish is an error, not a reason to look further.
        let rubbish = |_: &str| Some("hello".to_owned());
        assert!(matches!(
            provider.table_key_from("orders-v1", rubbish),
            Err(KeyError::Environment { .. })
        ));

        let error = provider.table_key_from("parts-v1", |_| None).err().unwrap();
        assert!(error.to_string().contains("parts-v1"));
        assert_eq!(error.code(), "DB-LAK-004");
    }
}
