//! The one form of a manifest's JSON. Keys are sorted here, not by the JSON library: whether its
//! maps keep insertion order depends on features that other crates choose.

use serde::Serialize;
use serde_json::Value;

use super::error::ManifestError;

/// The canonical bytes of `value`: no white space, keys sorted by their bytes.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ManifestError> {
    let value = serde_json::to_value(value).map_err(|_| ManifestError::Form { at: None })?;
    let mut text = String::new();
    write(&value, &mut text);
    Ok(text.into_bytes())
}

fn write(value: &Value, to: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|one, two| one.0.as_bytes().cmp(two.0.as_bytes()));
            to.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                to.push_str(&Value::from(key.as_str()).to_string());
                to.push(':');
                write(value, to);
            }
            to.push('}');
        }
        Value::Array(values) => {
            to.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                write(value, to);
            }
            to.push(']');
        }
        scalar => to.push_str(&scalar.to_string()),
    }
}

/// Bytes as lower-case hex.
pub(super) mod hex_bytes {
    use std::borrow::Cow;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        hex::decode(text.as_ref()).map_err(|_| D::Error::custom("not hex"))
    }
}

/// Digests one after the other, in base64.
pub(super) mod base64_digests {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use duckblind_protocol::ids::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(
        digests: &[Digest],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = digests
            .iter()
            .flat_map(|digest| *digest.as_bytes())
            .collect();
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Digest>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let bytes = STANDARD
            .decode(text.as_ref())
            .map_err(|_| D::Error::custom("not base64"))?;
        let (digests, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(D::Error::custom("not a whole number of digests"));
        }
        Ok(digests.iter().copied().map(Digest::from_bytes).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [ {"z":1, "a": "x\u0041\n"} ], "a": true, "B": null }"#)
                .unwrap();
        assert_eq!(
            encode(&value).unwrap(),
            br#"{"B":null,"a":true,"b":[{"a":"xA\n","z":1}]}"#
        );
    }
}
