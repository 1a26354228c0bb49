//! Keys of files that were encrypted elsewhere, as a private JSON file holds them. All parts are
//! optional: `{"footer":HEX,"columns":{PATH:HEX},"by_key_metadata":{TEXT:HEX},"keys":{ID:HEX}}`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::error::KeyError;
use super::material::KeyMaterial;
use super::private_file;
use super::secret::{DataKey, TableKey};

/// Keys of files that were encrypted elsewhere.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForeignKeys {
    #[serde(deserialize_with = "one")]
    footer: Option<TableKey>,
    #[serde(deserialize_with = "map")]
    columns: BTreeMap<String, TableKey>,
    #[serde(deserialize_with = "map")]
    by_key_metadata: BTreeMap<String, TableKey>,
    #[serde(deserialize_with = "map")]
    keys: BTreeMap<String, TableKey>,
}

impl ForeignKeys {
    /// Reads the file, which must be private to its owner.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = private_file::read(path)?;
        Self::parse(&bytes).ok_or_else(|| KeyError::ForeignForm { path: path.into() })
    }

    /// Reads the file's text.
    pub fn parse(text: &[u8]) -> Option<Self> {
        // Its fields in a list would do for the parser, too.
        text.trim_ascii_start().starts_with(b"{").then_some(())?;
        serde_json::from_slice(text).ok()
    }

    /// The same keys, used as they are: one for footers and one for each of some columns, as far
    /// as there are keys with these ids.
    pub(crate) fn by_ids(&self, footer: &str, columns: &BTreeMap<String, String>) -> Self {
        let copy = |id: &str| TableKey::from_slice(self.keys.get(id)?.expose());
        let columns = columns.iter();
        Self {
            footer: copy(footer),
            columns: columns
                .filter_map(|(path, id)| Some((path.clone(), copy(id)?)))
                .collect(),
            ..Self::default()
        }
    }

    /// The data key of a file's footer (no `column`) or of one of its columns, where the file says
    /// `metadata` of it. `beside` finds key material that is not in the file. `None` if there is
    /// no such key here.
    pub fn data_key(
        &self,
        column: Option<&str>,
        metadata: Option<&[u8]>,
        beside: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Option<DataKey>, KeyError> {
        let named = match column {
            None => self.footer.as_ref(),
            Some(path) => self.columns.get(path),
        };
        let by_metadata = || {
            let text = std::str::from_utf8(metadata?).ok()?;
            self.by_key_metadata.get(text)
        };
        if let Some(key) = named.or_else(by_metadata) {
            return DataKey::from_slice(key.expose()).map(Some);
        }
        let mut material = metadata.and_then(KeyMaterial::parse);
        if let Some(KeyMaterial::Beside(reference)) = &material {
            material = beside(reference).and_then(|found| KeyMaterial::parse(&found));
        }
        let Some(KeyMaterial::Inside(material)) = material else {
            return Ok(None);
        };
        match self.keys.get(material.master_key_id()) {
            Some(master) => material.open(master).map(Some),
            None => Ok(None),
        }
    }
}

fn one<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TableKey>, D::Error> {
    use serde::de::Error as _;
    // `&str` borrows from the wiped buffer; a key written with escapes is refused.
    let hex = <&'de str>::deserialize(from)?;
    TableKey::from_hex(hex)
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a key"))
}

/// Keys by text, each text once.
pub(super) fn map<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, TableKey>, D::Error> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = BTreeMap<String, TableKey>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("keys by id")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            use serde::de::Error as _;
            let mut keys = BTreeMap::new();
            // As above: no copies outside the wiped buffer.
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
    use super::super::material::tests::wrap;
    use super::*;

    fn hex(byte: u8) -> String {
        hex::encode([byte; 16])
    }

    fn found(keys: &ForeignKeys, column: Option<&str>, metadata: Option<&[u8]>) -> Option<u8> {
        let none = |_: &str| None;
        let key = keys.data_key(column, metadata, &none).unwrap()?;
        key.expose().first().copied()
    }

    #[test]
    fn by_name_by_metadata_and_by_master_key() {
        let text = format!(
            "{{\"footer\":\"{}\",\"columns\":{{\"a.b\":\"{}\"}},\"by_key_metadata\":{{\"kc\":\"{}\"}},\"keys\":{{\"m\":\"{}\"}}}}",
            hex(1),
            hex(2),
            hex(3),
            hex(4)
        );
        let keys = ForeignKeys::parse(text.as_bytes()).unwrap();
        assert_eq!(found(&keys, None, None), Some(1));
        assert_eq!(found(&keys, None, Some(b"kc")), Some(1));
        assert_eq!(found(&keys, Some("a.b"), Some(b"kc")), Some(2));
        assert_eq!(found(&keys, Some("c"), Some(b"kc")), Some(3));
        assert_eq!(found(&keys, Some("c"), Some(b"kd")), None);
        assert_eq!(found(&keys, Some("c"), None), None);
        let master = TableKey::from_hex(&hex(4)).unwrap();
        let material = |id: &str| {
            let wrapped = wrap(&[7; 16], &master, id.as_bytes());
            format!(
                "{{\"keyMaterialType\":\"PKMT1\",\"masterKeyID\":\"{id}\",\"wrappedDEK\":\"{wrapped}\",\"doubleWrapping\":false}}"
            )
        };
        assert_eq!(
            found(&keys, Some("c"), Some(material("m").as_bytes())),
            Some(7)
        );
        assert_eq!(
            found(&keys, Some("c"), Some(material("n").as_bytes())),
            None
        );
        let beside = br#"{"keyMaterialType":"PKMT1","internalStorage":false,"keyReference":"r"}"#;
        assert_eq!(found(&keys, Some("c"), Some(beside)), None);
        let store = |name: &str| (name == "r").then(|| material("m").into_bytes());
        let key = keys.data_key(Some("c"), Some(beside), &store).unwrap();
        assert_eq!(key.unwrap().expose(), [7; 16]);
        // Material that its master key does not open is an error, not a missing key.
        let wrong = material("m").replace("\"m\"", "\"x\"");
        let keys = ForeignKeys::parse(format!("{{\"keys\":{{\"x\":\"{}\"}}}}", hex(4)).as_bytes());
        let opened = keys
            .unwrap()
            .data_key(None, Some(wrong.as_bytes()), &|_| None);
        assert!(matches!(opened, Err(KeyError::Material { id }) if id == "x"));
    }

    #[test]
    fn malformed_files_are_refused() {
        assert!(ForeignKeys::parse(b"{}").is_some());
        for text in [
            "",
            "[]",
            "{\"footer\":\"00\"}",
            "{\"footer\":null}",
            "{\"more\":1}",
            "{\"columns\":[]}",
            &format!("{{\"keys\":{{\"a\":\"{0}\",\"a\":\"{0}\"}}}}", hex(1)),
        ] {
            assert!(ForeignKeys::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
