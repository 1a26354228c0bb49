//! Data keys for other tools, and other tools' data keys for a manifest.

use serde_json::Value;
use zeroize::Zeroizing;

use super::error::TableError;
use super::open::Table;
use crate::keys::{DataKey, Kms, WrapContext};
use crate::manifest::{ManifestAad, ManifestFile, WrappedKey};
use crate::names::{KeyId, aad_prefix};

/// The data keys of one file, as JSON for other tools that read Parquet:
/// `{"file":…,"aad_prefix":hex or null,"footer_key":hex,"columns":{path:hex}}`. A column whose key
/// `kms` does not have is left out.
pub fn export_keys(
    table: &Table,
    path: &str,
    kms: &dyn Kms,
) -> Result<Zeroizing<String>, TableError> {
    let file = table.file(path)?;
    let manifest = table.manifest();
    let keys = manifest.file_keys(file, kms, &mut |_| true)?;
    let quoted = |text: &str| Value::from(text).to_string();
    let prefix = match &file.aad {
        ManifestAad::Derived => {
            Value::from(hex::encode(aad_prefix(&manifest.table, &file.file_id)))
        }
        ManifestAad::Given(prefix) => Value::from(hex::encode(prefix)),
        ManifestAad::None => Value::Null,
    };
    let uniform = manifest
        .columns
        .iter()
        .all(|column| column.key_id == Some(table_key(table)));
    // Room for all of it at once, so that growing leaves no copies behind.
    let room = manifest.columns.iter().map(|c| c.path.len() * 6 + 80);
    let mut text = Zeroizing::new(String::with_capacity(
        room.sum::<usize>() + path.len() + 2048,
    ));
    text.push_str("{\"file\":");
    text.push_str(&quoted(path));
    text.push_str(",\"aad_prefix\":");
    text.push_str(&prefix.to_string());
    text.push_str(",\"footer_key\":");
    let footer = keys.footer.as_ref();
    push_key(&mut text, footer);
    text.push_str(",\"columns\":{");
    let mut first = true;
    for column in manifest
        .columns
        .iter()
        .filter(|column| column.key_id.is_some())
    {
        let own = keys.columns.get(&column.path);
        // Where some columns have keys, files name one for every encrypted column.
        let under_footer = !uniform && !has_own_key(column.key_id.as_deref());
        let Some(key) = own.or(footer.filter(|_| under_footer)) else {
            continue;
        };
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        text.push_str(&quoted(&column.path));
        text.push(':');
        push_key(&mut text, Some(key));
    }
    text.push_str("}}");
    Ok(text)
}

fn push_key(to: &mut String, key: Option<&DataKey>) {
    match key {
        Some(key) => {
            let hex = Zeroizing::new(hex::encode(key.expose()));
            to.push('"');
            to.push_str(&hex);
            to.push('"');
        }
        None => to.push_str("null"),
    }
}

fn has_own_key(id: Option<&str>) -> bool {
    id.and_then(KeyId::parse)
        .is_some_and(|id| id.column().is_some())
}

fn table_key(table: &Table) -> String {
    KeyId::of_table(&table.manifest().table, table.manifest().key_version()).to_string()
}

/// Wraps a data key of one file, or of one of its columns, as the table's manifest holds it.
pub fn wrap_key(
    table: &Table,
    path: &str,
    column: Option<&str>,
    key: &DataKey,
    kms: &dyn Kms,
) -> Result<WrappedKey, TableError> {
    let file = table.file(path)?;
    let key_id = match column {
        None => table_key(table),
        Some(column) => {
            let mut columns = table.manifest().columns.iter();
            let known = columns.find(|known| known.path == column);
            known
                .and_then(|known| known.key_id.clone())
                .ok_or_else(|| TableError::Unknown {
                    table: table.manifest().table.clone(),
                    what: format!("encrypted column `{column}`"),
                })?
        }
    };
    wrapped(&table.manifest().table, file, key_id, column, key, kms)
}

/// Wraps one data key.
pub(super) fn wrapped(
    table: &str,
    file: &ManifestFile,
    key_id: String,
    column: Option<&str>,
    key: &DataKey,
    kms: &dyn Kms,
) -> Result<WrappedKey, TableError> {
    let context = WrapContext {
        table,
        file: &file.file_id,
        key_id: &key_id,
        column,
    };
    let wrapped = kms.wrap(&context, key)?;
    Ok(WrappedKey {
        key_id,
        column: column.map(str::to_owned),
        wrapped,
    })
}
