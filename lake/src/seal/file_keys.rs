//! The fresh keys of one file: given to the Parquet writer, wrapped for the manifest, and used once
//! more to check what was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use duckblind_protocol::ids::FileId;
use parquet::encryption::encrypt::FileEncryptionProperties;

use super::error::SealError;
use super::plan::Plan;
use crate::keys::{DataKey, FileKeys, KeyError, Kms, WrapContext};
use crate::manifest::{AadStorage, ManifestAad, WrappedKey};
use crate::names::aad_prefix;

/// Identity and keys of one file that is being made.
pub(super) struct NewKeys {
    pub(super) id: FileId,
    footer: DataKey,
    /// Of columns with a key of their own.
    columns: BTreeMap<String, DataKey>,
    aad_prefix: Option<Vec<u8>>,
}

impl NewKeys {
    pub(super) fn generate(plan: &Plan) -> Result<Self, SealError> {
        let id = FileId::random().map_err(|_| KeyError::Randomness)?;
        let table_key = plan.table_key();
        let mut columns = BTreeMap::new();
        for column in plan.columns() {
            if column.key_id.as_ref().is_some_and(|id| *id != table_key) {
                columns.insert(column.path.clone(), DataKey::generate()?);
            }
        }
        Ok(Self {
            footer: DataKey::generate()?,
            columns,
            aad_prefix: match plan.layout().aad {
                AadStorage::Supplied | AadStorage::Stored => Some(aad_prefix(plan.table(), &id)),
                AadStorage::None => None,
            },
            id,
        })
    }

    /// What the Parquet writer is told.
    pub(super) fn encryption(
        &self,
        plan: &Plan,
    ) -> Result<Arc<FileEncryptionProperties>, SealError> {
        let mut builder = FileEncryptionProperties::builder(self.footer.expose().to_vec())
            .with_plaintext_footer(plan.layout().plaintext_footer);
        if let Some(prefix) = &self.aad_prefix {
            builder = builder
                .with_aad_prefix(prefix.clone())
                .with_aad_prefix_storage(plan.layout().aad == AadStorage::Stored);
        }
        // As soon as one column has a key, columns without one are in the clear.
        if !plan.is_uniform() {
            builder = builder.with_footer_key_metadata(self.metadata(&plan.table_key(), true));
            for column in plan.columns() {
                if let Some(id) = &column.key_id {
                    let key = self.columns.get(&column.path).unwrap_or(&self.footer);
                    builder = builder.with_column_key_and_metadata(
                        &column.path,
                        key.expose().to_vec(),
                        self.metadata(id, false),
                    );
                }
            }
        }
        Ok(builder.build()?)
    }

    /// What readers like parquet-mr and pyarrow find beside encrypted modules: no key, but where to
    /// ask for it, by the table key's id and the file's.
    pub(super) fn metadata(&self, key_id: &str, footer: bool) -> Vec<u8> {
        let mut material = serde_json::json!({
            "keyMaterialType": "PKMT1",
            "internalStorage": true,
            "isFooterKey": footer,
            "masterKeyID": key_id,
            "wrappedDEK": self.id.to_string(),
            "doubleWrapping": false,
        });
        if let (true, Some(object)) = (footer, material.as_object_mut()) {
            for name in ["kmsInstanceID", "kmsInstanceURL"] {
                object.insert(name.into(), "DEFAULT".into());
            }
        }
        material.to_string().into_bytes()
    }

    /// A copy of the keys, as a reader holds them.
    pub(super) fn copy(&self) -> Result<FileKeys, KeyError> {
        let again = |key: &DataKey| DataKey::from_slice(key.expose());
        let columns = self.columns.iter();
        Ok(FileKeys {
            footer: Some(again(&self.footer)?),
            columns: columns
                .map(|(path, key)| Ok((path.clone(), again(key)?)))
                .collect::<Result<_, KeyError>>()?,
        })
    }

    /// The AAD prefix, if there is one.
    pub(super) fn aad_prefix(&self) -> Option<&[u8]> {
        self.aad_prefix.as_deref()
    }

    /// What the manifest says of the AAD prefix.
    pub(super) fn aad(&self) -> ManifestAad {
        match self.aad_prefix {
            Some(_) => ManifestAad::Derived,
            None => ManifestAad::None,
        }
    }

    /// The keys for the manifest.
    pub(super) fn wrap(&self, plan: &Plan, kms: &dyn Kms) -> Result<Vec<WrappedKey>, SealError> {
        let table_key = plan.table_key();
        let mut wrapped = Vec::new();
        let mut add = |key_id: &str, column: Option<&str>, key: &DataKey| {
            let context = WrapContext {
                table: plan.table(),
                file: &self.id,
                key_id,
                column,
            };
            wrapped.push(WrappedKey {
                key_id: key_id.into(),
                column: column.map(str::to_owned),
                wrapped: kms.wrap(&context, key)?,
            });
            Ok::<_, KeyError>(())
        };
        add(&table_key, None, &self.footer)?;
        for column in plan.columns() {
            if let (Some(id), Some(key)) = (&column.key_id, self.columns.get(&column.path)) {
                add(id, Some(&column.path), key)?;
            }
        }
        Ok(wrapped)
    }
}
