//! Data keys wrapped under the table key: AES-256-GCM, random nonce, aad = table ‖ file id ‖
//! key id. Stored as nonce ‖ ciphertext ‖ tag.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use duckblind_protocol::ids::FileId;

use super::error::KeyError;
use super::secret::{DataKey, TableKey};

/// Bytes that wrapping adds: nonce and tag.
pub const WRAPPED_OVERHEAD: usize = NONCE_LEN + 16;

/// Wraps a data key for one file of one table.
pub fn wrap(
    table_key: &TableKey,
    table: &str,
    file: &FileId,
    key_id: &str,
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
                Aad::from(aad(table, file, key_id)),
                key,
            )
            .map_err(|_| ())
    });
    let Ok(tag) = sealed else {
        zeroize::Zeroize::zeroize(&mut wrapped);
        return Err(KeyError::Unwrap { id: key_id.into() });
    };
    wrapped.extend_from_slice(tag.as_ref());
    Ok(wrapped)
}

/// Opens a wrapped data key; the result is labelled with `key_id`.
pub fn unwrap(
    table_key: &TableKey,
    table: &str,
    file: &FileId,
    key_id: &str,
    wrapped: &[u8],
) -> Result<DataKey, KeyError> {
    let refused = || KeyError::Unwrap { id: key_id.into() };
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
            Aad::from(aad(table, file, key_id)),
            sealed,
            tag,
            &mut key,
        )
        .map_err(|_| refused())?;
    Ok(DataKey::from_vec(key)?.labelled(key_id))
}

fn aad(table: &str, file: &FileId, key_id: &str) -> Vec<u8> {
    [table.as_bytes(), file.as_bytes(), key_id.as_bytes()].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table_key() -> TableKey {
        TableKey::from_hex(&"42".repeat(32)).unwrap()
    }

    proptest! {
        #[test]
        fn round_trip_and_any_flip_is_refused(
            length in prop::sample::select(vec![16_usize, 24, 32]),
            seed: u8,
            flip: prop::sample::Index,
            bit in 0..8,
        ) {
            let file = FileId::from_bytes([seed; 16]);
            let key = DataKey::from_vec(vec![seed; length]).unwrap();
            let mut wrapped = wrap(&table_key(), "orders", &file, "orders-v1", &key).unwrap();
            let again = unwrap(&table_key(), "orders", &file, "orders-v1", &wrapped).unwrap();
            prop_assert_eq!(again.expose(), key.expose());
            let at = flip.index(wrapped.len());
            wrapped[at] ^= 1_u8 << bit;
            prop_assert!(unwrap(&table_key(), "orders", &file, "orders-v1", &wrapped).is_err());
        }
    }

    #[test]
    fn bound_to_table_file_key_id_and_key() {
        let file = FileId::from_bytes([1; 16]);
        let key = DataKey::generate().unwrap();
        let wrapped = wrap(&table_key(), "orders", &file, "orders-v1", &key).unwrap();
        let open = |table: &TableKey, name: &str, file: [u8; 16], id: &str| {
            unwrap(table, name, &FileId::from_bytes(file), id, &wrapped).is_ok()
        };
        assert!(open(&table_key(), "orders", [1; 16], "orders-v1"));
        assert!(!open(
            &TableKey::generate().unwrap(),
            "orders",
            [1; 16],
            "orders-v1"
        ));
        assert!(!open(&table_key(), "parts", [1; 16], "orders-v1"));
        assert!(!open(&table_key(), "orders", [2; 16], "orders-v1"));
        assert!(!open(&table_key(), "orders", [1; 16], "orders-v2"));
        for cut in 0..wrapped.len() {
            assert!(unwrap(&table_key(), "orders", &file, "orders-v1", &wrapped[..cut]).is_err());
        }
    }
}
