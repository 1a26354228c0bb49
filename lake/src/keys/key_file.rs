//! The key file: `{"keys":{"orders-v1":"<64 hex digits>"}}`, mode 0600 or refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::error::KeyError;
use super::private_file;
use super::secret::TableKey;

/// Table keys by id, as one file holds them.
pub struct KeyFile {
    path: PathBuf,
    keys: BTreeMap<String, TableKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(deserialize_with = "keys")]
    keys: BTreeMap<String, TableKey>,
}

impl KeyFile {
    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = private_file::read(path)?;
        // The parser's own text may quote the file, so it is not passed on.
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| KeyError::Form {
            path: path.into(),
            why: "it must be {\"keys\":{\"ID\":\"64 hex digits\"}}, each id once",
        })?;
        Ok(Self {
            path: path.into(),
            keys: wire.keys,
        })
    }

    /// Reads a key file, or starts an empty one where there is none yet.
    pub fn load_or_empty(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io {
                kind: std::io::ErrorKind::NotFound,
                ..
            }) => Ok(Self {
                path: path.into(),
                keys: BTreeMap::new(),
            }),
            other => other,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&TableKey> {
        self.keys.get(id)
    }

    /// The ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Adds a key; one that is there is never replaced.
    pub fn insert(&mut self, id: &str, key: TableKey) -> Result<(), KeyError> {
        if self.keys.contains_key(id) {
            return Err(KeyError::Exists {
                id: id.into(),
                path: self.path.clone(),
            });
        }
        self.keys.insert(id.into(), key);
        Ok(())
    }

    /// Writes the file, whole or not at all, mode 0600.
    pub fn save(&self) -> Result<(), KeyError> {
        // Room for all of it at once, so that growing leaves no copies behind.
        let room = self.keys.keys().map(|id| id.len() * 6 + 80).sum::<usize>() + 64;
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str("{\"keys\":{");
        for (at, (id, key)) in self.keys.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(id.as_str()).to_string());
            text.push_str(":\"");
            text.push_str(&key.to_hex());
            text.push('"');
        }
        text.push_str("}}\n");
        private_file::write(&self.path, text.as_bytes(), true)
    }
}

fn keys<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, TableKey>, D::Error> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = BTreeMap<String, TableKey>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("keys by id")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            use serde::de::Error as _;
            let mut keys = BTreeMap::new();
            // `&str` borrows from the wiped buffer; a key written with escapes is refused.
            while let Some((id, hex)) = map.next_entry::<Cow<'de, str>, &'de str>()? {
                let key = TableKey::from_hex(hex).ok_or_else(|| A::Error::custom("not a key"))?;
                if keys.insert(id.into_owned(), key).is_some() {
                    return Err(A::Error::custom("an id twice"));
                }
            }
            Ok(keys)
        }
    }

    from.deserialize_map(Keys)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_through_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let mut file = KeyFile::load_or_empty(&path).unwrap();
        for id in ["orders-v1", "ba\"d\n-v1"] {
            file.insert(id, TableKey::generate().unwrap()).unwrap();
        }
        assert!(matches!(
            file.insert("orders-v1", TableKey::generate().unwrap()),
            Err(KeyError::Exists { .. })
        ));
        file.save().unwrap();
        let again = KeyFile::load(&path).unwrap();
        assert_eq!(
            again.ids().collect::<Vec<_>>(),
            file.ids().collect::<Vec<_>>()
        );
        for id in file.ids() {
            assert_eq!(
                again.get(id).unwrap().expose(),
                file.get(id).unwrap().expose()
            );
        }
    }

    #[test]
    fn malformed_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let key = "00".repeat(32);
        for text in [
            String::new(),
            "{}".into(),
            "[]".into(),
            format!("{{\"keys\":{{\"a\":\"{key}00\"}}}}"),
            format!("{{\"keys\":{{\"a\":\"{}\"}}}}", &key[2..]),
            format!("{{\"keys\":{{\"a\":\"{key}\",\"a\":\"{key}\"}}}}"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}},\"more\":1}}"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}}}} x"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}}"),
        ] {
            private_file::write(&path, text.as_bytes(), true).unwrap();
            assert!(
                matches!(KeyFile::load(&path), Err(KeyError::Form { .. })),
                "{text}"
            );
        }
    }
}
