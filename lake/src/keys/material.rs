//! Key material as parquet-mr and Arrow write it into files: "PKMT1", one JSON object that names a
//! master key and holds the data key wrapped under it, directly or through a key of its own.
//!
//! A wrapped key is base64 of nonce ‖ ciphertext ‖ tag of AES-GCM; the additional data is the id of
//! the wrapping key. Key services that wrap locally put it into an object with a version.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::secret::{DataKey, TableKey};

/// Largest key metadata that is looked at, in bytes.
const MAX_MATERIAL: usize = 1 << 20;
const TAG: usize = 16;

/// What a file says of one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMaterial {
    /// The wrapped key itself.
    Inside(WrappedMaterial),
    /// The name under which a file beside it holds the wrapped key.
    Beside(String),
}

/// A data key wrapped under a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedMaterial {
    master_key_id: String,
    wrapped_key: String,
    /// Id (base64) of the key between the two, and that key wrapped under the master key.
    between: Option<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    key_material_type: String,
    #[serde(default)]
    internal_storage: Option<bool>,
    key_reference: Option<String>,
    #[serde(rename = "masterKeyID")]
    master_key_id: Option<String>,
    #[serde(rename = "wrappedDEK")]
    wrapped_key: Option<String>,
    double_wrapping: Option<bool>,
    #[serde(rename = "keyEncryptionKeyID")]
    between_id: Option<String>,
    #[serde(rename = "wrappedKEK")]
    wrapped_between: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalWrap {
    master_key_version: String,
    encrypted_key: String,
}

impl KeyMaterial {
    /// Reads key metadata; `None` if it is something else.
    pub fn parse(metadata: &[u8]) -> Option<Self> {
        if metadata.len() > MAX_MATERIAL {
            return None;
        }
        let wire: Wire = serde_json::from_slice(metadata).ok()?;
        if wire.key_material_type != "PKMT1" {
            return None;
        }
        if wire.internal_storage == Some(false) {
            return wire.key_reference.map(Self::Beside);
        }
        let between = if wire.double_wrapping? {
            Some((wire.between_id?, wire.wrapped_between?))
        } else {
            None
        };
        Some(Self::Inside(WrappedMaterial {
            master_key_id: wire.master_key_id?,
            wrapped_key: wire.wrapped_key?,
            between,
        }))
    }
}

impl WrappedMaterial {
    /// The master key that it names.
    pub fn master_key_id(&self) -> &str {
        &self.master_key_id
    }

    /// Opens it with its master key.
    pub fn open(&self, master: &TableKey) -> Result<DataKey, KeyError> {
        let refused = || KeyError::Material {
            id: self.master_key_id.chars().take(80).collect(),
        };
        let id = self.master_key_id.as_bytes();
        let key = match &self.between {
            None => from_service(&self.wrapped_key, master, id),
            Some((between_id, wrapped)) => from_service(wrapped, master, id)
                .and_then(|between| TableKey::from_slice(&between))
                .and_then(|between| {
                    unwrap(
                        &self.wrapped_key,
                        &between,
                        &STANDARD.decode(between_id).ok()?,
                    )
                }),
        };
        let key = key.ok_or_else(refused)?;
        DataKey::from_slice(&key).map_err(|_| refused())
    }
}

/// A key as a key service gives it back: wrapped locally, or bare.
fn from_service(wrapped: &str, master: &TableKey, id: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !wrapped.trim_start().starts_with('{') {
        return unwrap(wrapped, master, id);
    }
    let local: LocalWrap = serde_json::from_str(wrapped).ok()?;
    (local.master_key_version == "NO_VERSION")
        .then(|| unwrap(&local.encrypted_key, master, id))
        .flatten()
}

fn unwrap(wrapped: &str, key: &TableKey, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let wrapped = STANDARD.decode(wrapped).ok()?;
    let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>()?;
    let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
    if !matches!(sealed.len(), 16 | 24 | 32) {
        return None;
    }
    let mut opened = Zeroizing::new(vec![0; sealed.len()]);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    key.aead()
        .ok()?
        .open_separate_gather(nonce, Aad::from(aad), sealed, tag, &mut opened)
        .ok()?;
    Some(opened)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    fn key(byte: u8, length: usize) -> TableKey {
        TableKey::from_slice(&vec![byte; length]).unwrap()
    }

    pub(crate) fn wrap(key: &[u8], under: &TableKey, aad: &[u8]) -> String {
        let nonce = [5; NONCE_LEN];
        let mut sealed = key.to_vec();
        let tag = under
            .aead()
            .unwrap()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut sealed,
            )
            .unwrap();
        STANDARD.encode([&nonce[..], &sealed, tag.as_ref()].concat())
    }

    fn single(wrapped: &str) -> String {
        serde_json::json!({
            "keyMaterialType": "PKMT1", "internalStorage": true, "isFooterKey": true,
            "kmsInstanceID": "DEFAULT", "kmsInstanceURL": "DEFAULT", "masterKeyID": "kf",
            "wrappedDEK": wrapped, "doubleWrapping": false,
        })
        .to_string()
    }

    fn open(text: &str, master: &TableKey) -> Result<DataKey, KeyError> {
        let Some(KeyMaterial::Inside(material)) = KeyMaterial::parse(text.as_bytes()) else {
            panic!("{text}")
        };
        material.open(master)
    }

    #[test]
    fn wrapped_once_bare_or_locally() {
        for (length, master) in [(16, 16), (24, 32), (32, 24)] {
            let master = key(1, master);
            let bare = wrap(&vec![9; length], &master, b"kf");
            let local =
                format!("{{\"masterKeyVersion\":\"NO_VERSION\",\"encryptedKey\":\"{bare}\"}}");
            for wrapped in [&bare, &local] {
                let opened = open(&single(wrapped), &master).unwrap();
                assert_eq!(opened.expose(), vec![9; length]);
                assert!(open(&single(wrapped), &key(2, 16)).is_err());
            }
            // Under another id; of another version.
            assert!(open(&single(&wrap(&[9; 16], &master, b"kg")), &master).is_err());
            let versioned = local.replace("NO_VERSION", "3");
            assert!(open(&single(&versioned), &master).is_err());
        }
        assert!(open(&single(&wrap(&[9; 17], &key(1, 16), b"kf")), &key(1, 16)).is_err());
        for text in ["", "AAAA", "no base64!", "{", "{}"] {
            assert!(open(&single(text), &key(1, 16)).is_err());
        }
    }

    #[test]
    fn wrapped_twice() {
        let master = key(1, 32);
        let between = key(3, 16);
        let material = |id: &[u8], between_id: &[u8]| {
            serde_json::json!({
                "keyMaterialType": "PKMT1", "internalStorage": true, "isFooterKey": false,
                "masterKeyID": "kc", "wrappedDEK": wrap(&[8; 32], &between, id),
                "doubleWrapping": true, "keyEncryptionKeyID": STANDARD.encode(between_id),
                "wrappedKEK": wrap(between.expose(), &master, b"kc"),
            })
            .to_string()
        };
        let opened = open(&material(b"id of 16 bytes..", b"id of 16 bytes.."), &master).unwrap();
        assert_eq!(opened.expose(), [8; 32]);
        assert!(open(&material(b"id of 16 bytes..", b"another"), &master).is_err());
        assert!(open(&material(b"x", b"x"), &between).is_err());
    }

    #[test]
    fn material_beside_the_file_and_other_things() {
        let beside =
            br#"{"keyMaterialType":"PKMT1","internalStorage":false,"keyReference":"footerKey"}"#;
        assert_eq!(
            KeyMaterial::parse(beside),
            Some(KeyMaterial::Beside("footerKey".into()))
        );
        for other in [
            &b""[..],
            b"kf",
            b"{}",
            br#"{"keyMaterialType":"PKMT2","masterKeyID":"a","wrappedDEK":"b","doubleWrapping":false}"#,
            br#"{"keyMaterialType":"PKMT1","masterKeyID":"a","wrappedDEK":"b"}"#,
            br#"{"keyMaterialType":"PKMT1","masterKeyID":"a","wrappedDEK":"b","doubleWrapping":true}"#,
            br#"{"keyMaterialType":"PKMT1","internalStorage":false}"#,
        ] {
            assert_eq!(KeyMaterial::parse(other), None);
        }
    }
}
