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

/// The id of a table's key, as key files and manifests name it.
pub fn key_id(table: &str) -> String {
    format!("{table}-v1")
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
    fn prefix_as_documented() {
        let file = FileId::from_bytes([0xab; 16]);
        assert_eq!(
            aad_prefix("orders", &file),
            format!("duckblind/v1/orders/{}", "ab".repeat(16)).into_bytes()
        );
    }
}
