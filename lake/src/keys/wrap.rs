//! Data keys wrapped under a table key: AES-GCM, random nonce, stored as nonce ‖ ciphertext ‖ tag.
//!
//! aad = table ‖ file id ‖ key id, and for a column's data key also 0 ‖ the column's path.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use duckblind_protocol::ids::FileId;

use super::error::KeyError;
use super::secret::{DataKey, TableKey};

/// Bytes that wrapping adds: nonce and tag.
const WRAPPED_OVERHEAD: usize = NONCE_LEN + 16;

/// What a wrapped data key is bound to.
#[derive(Clone, Copy, Debug)]
pub struct WrapContext<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The file whose key it is.
    pub file: &'a FileId,
    /// The table key's id, see [`crate::KeyId`].
    pub key_id: &'a str,
    /// The leaf column whose data is under the data key; `None` for the footer's key, which all
    /// columns without a key of their own are under.
    pub column: Option<&'a str>,
}

/// Wraps a data key.
pub fn wrap(
    table_key: &TableKey,
    context: &WrapContext<'_>,
    data_key: &DataKey,
) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| KeyError::Randomness)?;
    let mut wrapped = Vec::with_capacity(data_key.expose().len() + WRAPPED_OVERHEAD);
    wrapped.extend_from_slice(&nonce);
    wrapped.extend_from_slice(data_key.expose());
    let sealed = wrapped.get_mut(NONCE_LEN..).ok_or(()).and_then(|key| {
        table_key
            .aead()
            .map_err(|_| ())?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.aad()),
                key,
            )
            .map_err(|_| ())
    });
    let Ok(tag) = sealed else {
        zeroize::Zeroize::zeroize(&mut wrapped);
        return Err(KeyError::Unwrap {
            id: context.key_id.into(),
        });
    };
    wrapped.extend_from_slice(tag.as_ref());
    Ok(wrapped)
}

/// Opens a wrapped data key; the result is labelled with the key id.
pub fn unwrap(
    table_key: &TableKey,
    context: &WrapContext<'_>,
    wrapped: &[u8],
) -> Result<DataKey, KeyError> {
    let refused = || KeyError::Unwrap {
        id: context.key_id.into(),
    };
    let (nonce, sealed) = wrapped
        .split_first_chunk::<NONCE_LEN>()
        .ok_or_else(refused)?;
    let (sealed, tag) = sealed
        .len()
        .checked_sub(16)
        .and_then(|at| sealed.split_at_checked(at))
        .ok_or_else(refused)?;
    if sealed.len() > 32 {
        return Err(refused());
    }
    let mut key = vec![0; sealed.len()];
    table_key
        .aead()?
        .open_separate_gather(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context.aad()),
            sealed,
            tag,
            &mut key,
        )
        .map_err(|_| refused())?;
    Ok(DataKey::from_vec(key)?.labelled(context.key_id))
}

impl WrapContext<'_> {
    fn aad(&self) -> Vec<u8> {
        let mut aad = [
            self.table.as_bytes(),
            self.file.as_bytes(),
            self.key_id.as_bytes(),
        ]
        .concat();
        if let Some(column) = self.column {
            aad.push(0);
            aad.extend_from_slice(column.as_bytes());
        }
        aad
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: FileId = FileId::from_bytes([1; 16]);
    const CONTEXT: WrapContext<'static> = WrapContext {
        table: "orders",
        file: &FILE,
        key_id: "orders-v1",
        column: None,
    };

    fn table_key() -> TableKey {
        TableKey::from_hex(&"42".repeat(32)).unwrap()
    }

    proptest! {
        #[test]
        fn round_trip_and_any_flip_is_refused(
            length in prop::sample::select(vec![16_usize, 24, 32]),
            table_key in prop::sample::select(vec![16_usize, 24, 32]),
            seed: u8,
            flip: prop::sample::Index,
            bit in 0..8,
        ) {
            let table_key = TableKey::from_hex(&"42".repeat(table_key)).unwrap();
            let key = DataKey::from_vec(vec![seed; length]).unwrap();
            let mut wrapped = wrap(&table_key, &CONTEXT, &key).unwrap();
            let again = unwrap(&table_key, &CONTEXT, &wrapped).unwrap();
            prop_assert_eq!(again.expose(), key.expose());
            let at = flip.index(wrapped.len());
            wrapped[at] ^= 1_u8 << bit;
            prop_assert!(unwrap(&table_key, &CONTEXT, &wrapped).is_err());
        }
    }

    #[test]
    fn bound_to_table_file_key_id_column_and_key() {
        let key = DataKey::generate().unwrap();
        let column = WrapContext {
            column: Some("price"),
            ..CONTEXT
        };
        let other_file = FileId::from_bytes([2; 16]);
        let all = [
            CONTEXT,
            column,
            WrapContext {
                table: "parts",
                ..CONTEXT
            },
            WrapContext {
                file: &other_file,
                ..CONTEXT
            },
            WrapContext {
                key_id: "orders-v2",
                ..CONTEXT
            },
            WrapContext {
                column: Some(""),
                ..CONTEXT
            },
            WrapContext {
                column: Some("prices"),
                ..CONTEXT
            },
        ];
        for (made, context) in all.iter().enumerate() {
            let wrapped = wrap(&table_key(), context, &key).unwrap();
            for (read, other) in all.iter().enumerate() {
                let opened = unwrap(&table_key(), other, &wrapped).is_ok();
                assert_eq!(opened, made == read, "{made} as {read}");
            }
            assert!(unwrap(&TableKey::generate().unwrap(), context, &wrapped).is_err());
            for cut in 0..wrapped.len() {
                assert!(unwrap(&table_key(), context, &wrapped[..cut]).is_err());
            }
        }
    }
}
