//! Names that go into keys, paths and authenticated data.

use std::fmt;
use std::str::FromStr;

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::FileId;

use crate::codes::LakeCode;

/// Longest table name, in bytes.
pub const MAX_TABLE_NAME: usize = 63;

/// A table name: a letter or `_`, then letters, digits and `_`; at most [`MAX_TABLE_NAME`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName(String);

/// A text that is no table name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be the name of a table")]
pub struct BadTableName(String);

impl TableName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = BadTableName;

    fn from_str(text: &str) -> Result<Self, BadTableName> {
        let mut bytes = text.bytes();
        let first = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if first
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && text.len() <= MAX_TABLE_NAME
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTableName(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Coded for BadTableName {
    fn code(&self) -> &'static str {
        LakeCode::TableName.as_str()
    }
    fn exit(&self) -> Exit {
        Exit::Usage
    }
    fn expected(&self) -> Option<String> {
        Some(format!(
            "a letter or `_`, then letters, digits and `_`, at most {MAX_TABLE_NAME} in all"
        ))
    }
    fn hint(&self) -> Option<String> {
        Some("SQL will use this name, so choose one that needs no quotes".into())
    }
}

/// The id of a table's first key, as key files and manifests name it.
pub fn key_id(table: &str) -> String {
    KeyId::of_table(table, FIRST_KEY).to_string()
}

/// The version of a table's keys before any rotation.
pub const FIRST_KEY: u32 = 1;

/// The id of a table key: `<table>-v<version>`, or `<table>-v<version>:<column>` for a column with
/// a key of its own. Derived, never typed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    table: String,
    version: u32,
    column: Option<String>,
}

impl KeyId {
    /// The key of a whole table.
    pub fn of_table(table: &str, version: u32) -> Self {
        Self {
            table: table.into(),
            version,
            column: None,
        }
    }

    /// The key of one leaf column, by its path.
    pub fn of_column(table: &str, version: u32, column: &str) -> Self {
        Self {
            column: Some(column.into()),
            ..Self::of_table(table, version)
        }
    }

    /// Reads an id; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (table, column) = match text.split_once(':') {
            Some((_, "")) => return None,
            Some((table, column)) => (table, Some(column.to_owned())),
            None => (text, None),
        };
        let (table, version) = table.rsplit_once("-v")?;
        table.parse::<TableName>().ok()?;
        let parsed = Self {
            table: table.into(),
            version: version.parse().ok().filter(|version| *version > 0)?,
            column,
        };
        // One id, one text: no `v01`, no `v+1`.
        (parsed.to_string() == text).then_some(parsed)
    }

    /// The same key after a rotation.
    #[must_use]
    pub fn at_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Counts the rotations of the table's keys, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The leaf column whose key it is; `None` for the table's own.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-v{}", self.table, self.version)?;
        self.column
            .iter()
            .try_for_each(|column| write!(f, ":{column}"))
    }
}

/// The AAD prefix of one file of a table: `duckblind/v1/<table>/<file id hex>`. Never stored in
/// the file; readers take it from the signed manifest.
pub fn aad_prefix(table: &str, file: &FileId) -> Vec<u8> {
    format!("duckblind/v1/{table}/{file}").into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["orders", "_x", "A1_b", &"t".repeat(MAX_TABLE_NAME)] {
            assert_eq!(good.parse::<TableName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "1a",
            "a-b",
            "a/b",
            "a b",
            "ä",
            "../x",
            &"t".repeat(MAX_TABLE_NAME + 1),
        ] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn key_ids_have_one_text() {
        for (text, table, version, column) in [
            ("orders-v1", "orders", 1, None),
            ("orders-v12:a.b:c", "orders", 12, Some("a.b:c")),
            ("_x-v4294967295", "_x", u32::MAX, None),
        ] {
            let id = KeyId::parse(text).unwrap();
            assert_eq!(
                (id.table(), id.version(), id.column()),
                (table, version, column)
            );
            assert_eq!(id.to_string(), text);
        }
        for text in [
            "",
            "orders",
            "orders-v0",
            "orders-v01",
            "orders-v+1",
            "orders-v1:",
            "-v1",
            "a b-v1",
            "orders-v4294967296",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn prefix_as_documented() {
        let file = FileId::from_bytes([0xab; 16]);
        assert_eq!(
            aad_prefix("orders", &file),
            format!("duckblind/v1/orders/{}", "ab".repeat(16)).into_bytes()
        );
    }
}
