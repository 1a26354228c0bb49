//! What the files of a table look like: its columns, their keys, its layout. The same for a new
//! table and for one that grows.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;

use super::error::SealError;
use super::options::{Encryption, Rest};
use super::partition;
use crate::keys::{KeyError, Kms};
use crate::manifest::{ColumnKey, Layout, Manifest, SchemaField};
use crate::names::{FIRST_KEY, KeyId, TableName};

/// How files of one table are written.
#[derive(Clone, Debug)]
pub struct Plan {
    table: String,
    key_version: u32,
    schema: SchemaRef,
    columns: Vec<ColumnKey>,
    layout: Layout,
}

impl Plan {
    /// Of a new table.
    pub fn new(
        table: &TableName,
        schema: SchemaRef,
        encryption: &Encryption,
        layout: Layout,
    ) -> Result<Self, SealError> {
        let leaves = leaves(&schema)?;
        let own_key = match encryption {
            Encryption::Uniform => BTreeSet::new(),
            Encryption::Columns { columns, .. } => chosen(&leaves, columns)?,
        };
        let table = table.as_str();
        let rest = match encryption {
            Encryption::Columns {
                rest: Rest::Clear, ..
            } if own_key.is_empty() => return Err(SealError::NothingEncrypted),
            Encryption::Columns {
                rest: Rest::Clear, ..
            } => None,
            _ => Some(KeyId::of_table(table, FIRST_KEY).to_string()),
        };
        let columns = leaves
            .into_iter()
            .map(|Leaf { path, .. }| ColumnKey {
                key_id: if own_key.contains(&path) {
                    Some(KeyId::of_column(table, FIRST_KEY, &path).to_string())
                } else {
                    rest.clone()
                },
                path,
            })
            .collect();
        Self {
            table: table.into(),
            key_version: FIRST_KEY,
            schema,
            columns,
            layout,
        }
        .checked()
    }

    /// Of a table that exists, for files that `schema` describes: the table's columns and perhaps
    /// new ones, which are encrypted under the table's key.
    pub fn of_manifest(manifest: &Manifest, schema: SchemaRef) -> Result<Self, SealError> {
        let wrapped = manifest.files.iter().flat_map(|file| &file.wrapped_keys);
        let ids = wrapped.map(|key| key.key_id.as_str()).chain(
            manifest
                .columns
                .iter()
                .filter_map(|column| column.key_id.as_deref()),
        );
        let key_version = ids
            .filter_map(|id| KeyId::parse(id).map(|id| id.version()))
            .max()
            .unwrap_or(FIRST_KEY);
        let table_key = KeyId::of_table(&manifest.table, key_version).to_string();
        let columns = leaves(&schema)?
            .into_iter()
            .map(|Leaf { path, .. }| {
                let known = manifest.columns.iter().find(|known| known.path == path);
                let key_id = match known.map(|known| known.key_id.as_deref().map(KeyId::parse)) {
                    Some(None) => None,
                    // Of the newest version, whatever version older files are under.
                    Some(Some(Some(id))) if id.column().is_some() => {
                        Some(KeyId::of_column(&manifest.table, key_version, &path).to_string())
                    }
                    _ => Some(table_key.clone()),
                };
                ColumnKey { path, key_id }
            })
            .collect();
        Self {
            table: manifest.table.clone(),
            key_version,
            schema,
            columns,
            layout: manifest.layout.clone(),
        }
        .checked()
    }

    /// Of a new table, with keys of this version.
    #[must_use]
    pub fn at_version(mut self, version: u32) -> Self {
        self.key_version = version;
        for column in &mut self.columns {
            let id = column.key_id.as_deref().and_then(KeyId::parse);
            column.key_id = id.map(|id| id.at_version(version).to_string());
        }
        self
    }

    /// Refuses layouts that these columns cannot have.
    fn checked(self) -> Result<Self, SealError> {
        partition::check_layout(&self)?;
        Ok(self)
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The version of the keys that wrap the data keys of new files.
    pub fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The columns as Arrow has them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Every leaf column and the id of its key.
    pub fn columns(&self) -> &[ColumnKey] {
        &self.columns
    }

    /// Footers, AAD prefixes, partitions, order.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The columns as the manifest has them.
    pub fn fields(&self) -> Vec<SchemaField> {
        self.schema
            .fields()
            .iter()
            .map(|field| SchemaField {
                name: field.name().clone(),
                data_type: field.data_type().to_string(),
                nullable: field.is_nullable(),
            })
            .collect()
    }

    /// Refuses a `kms` that cannot tell the table's keys apart.
    pub fn distinguish(&self, kms: &dyn Kms) -> Result<(), KeyError> {
        let table_key = self.table_key();
        let columns = self.columns.iter();
        let ids: Vec<_> = columns
            .filter_map(|column| column.key_id.as_deref())
            .chain([table_key.as_str()])
            .collect();
        kms.distinguish(&ids)
    }

    /// The id of the key that wraps footer keys.
    pub(super) fn table_key(&self) -> String {
        KeyId::of_table(&self.table, self.key_version).to_string()
    }

    /// Whether one data key is enough for a file.
    pub(super) fn is_uniform(&self) -> bool {
        let table_key = self.table_key();
        let under_it = |column: &ColumnKey| column.key_id.as_ref() == Some(&table_key);
        self.columns.iter().all(under_it)
    }
}

/// One leaf column.
struct Leaf {
    path: String,
    /// The column of the table that it belongs to.
    root: String,
}

/// The leaf columns, as Parquet will have them.
fn leaves(schema: &SchemaRef) -> Result<Vec<Leaf>, SealError> {
    let converted = ArrowSchemaConverter::new().convert(schema)?;
    let mut seen = BTreeSet::new();
    let mut leaves = Vec::new();
    for leaf in converted.columns() {
        let path = leaf.path().string();
        // SQL does not tell upper from lower case.
        if !seen.insert(path.to_lowercase()) {
            return Err(SealError::AmbiguousPath { path });
        }
        leaves.push(Leaf {
            path,
            root: leaf.path().parts().first().cloned().unwrap_or_default(),
        });
    }
    Ok(leaves)
}

/// The leaves that `names` mean.
fn chosen(leaves: &[Leaf], names: &[String]) -> Result<BTreeSet<String>, SealError> {
    let mut chosen = BTreeSet::new();
    for name in names {
        let meant: Vec<_> = leaves
            .iter()
            .filter(|leaf| leaf.path == *name || leaf.root == *name)
            .map(|leaf| leaf.path.clone())
            .collect();
        if meant.is_empty() {
            return Err(SealError::NoSuchColumn {
                purpose: "encrypted",
                name: name.clone(),
                known: leaves.iter().map(|leaf| leaf.path.clone()).collect(),
            });
        }
        chosen.extend(meant);
    }
    Ok(chosen)
}
