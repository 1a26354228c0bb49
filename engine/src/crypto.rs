//! AES-GCM and random bytes for DuckDB's encrypted spill, from `aws-lc-rs`.

use std::panic::catch_unwind;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::ffi::RawCrypto;

const TAG_LEN: usize = 16;
const DONE: i32 = 0;
const FAILED: i32 = 1;

/// The functions that the shim calls.
pub(crate) static CRYPTO: RawCrypto = RawCrypto { random, seal, open };

fn key_of(key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

fn seal_in_place(
    key: &[u8],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    data: &mut [u8],
) -> Option<[u8; TAG_LEN]> {
    let tag = key_of(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
        .ok()?;
    tag.as_ref().try_into().ok()
}

fn open_in_place(
    key: &[u8],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    data: &mut [u8],
    tag: [u8; TAG_LEN],
) -> Option<()> {
    key_of(key)?
        .open_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &tag,
            data,
        )
        .ok()
        .map(|_| ())
}

/// The bytes at `data`, which may be null when `len` is 0.
///
/// # Safety
/// `data` is valid for `len` bytes, which nobody writes while the slice lives.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: not empty, so `data` is valid for `len` bytes by this function's own contract.
    unsafe { std::slice::from_raw_parts(data, len) }
}

/// Like [`bytes`], to write.
///
/// # Safety
/// `data` is valid for `len` bytes, which nobody else touches while the slice lives.
unsafe fn bytes_mut<'a>(data: *mut u8, len: usize) -> &'a mut [u8] {
    if len == 0 {
        return &mut [];
    }
    // SAFETY: not empty, so `data` is valid for `len` bytes by this function's own contract.
    unsafe { std::slice::from_raw_parts_mut(data, len) }
}

unsafe extern "C" fn random(out: *mut u8, len: usize) -> i32 {
    // SAFETY: the shim passes a buffer of `len` bytes that it alone holds during this call.
    let out = unsafe { bytes_mut(out, len) };
    match catch_unwind(std::panic::AssertUnwindSafe(|| aws_lc_rs::rand::fill(out))) {
        Ok(Ok(())) => DONE,
        _ => FAILED,
    }
}

unsafe extern "C" fn seal(
    key: *const u8,
    key_len: usize,
    nonce: *const u8,
    aad: *const u8,
    aad_len: usize,
    data: *mut u8,
    len: usize,
    tag: *mut u8,
) -> i32 {
    // SAFETY: the shim passes `key_len`, 12, `aad_len` and 16 bytes of its own memory, and a buffer of
    // `len` bytes that only this call touches; none of them overlap.
    let (key, nonce, aad, data, tag) = unsafe {
        (
            bytes(key, key_len),
            nonce.cast::<[u8; NONCE_LEN]>().read(),
            bytes(aad, aad_len),
            bytes_mut(data, len),
            &mut *tag.cast::<[u8; TAG_LEN]>(),
        )
    };
    match catch_unwind(std::panic::AssertUnwindSafe(|| {
        seal_in_place(key, nonce, aad, data)
    })) {
        Ok(Some(made)) => {
            *tag = made;
            DONE
        }
        _ => FAILED,
    }
}

unsafe extern "C" fn open(
    key: *const u8,
    key_len: usize,
    nonce: *const u8,
    aad: *const u8,
    aad_len: usize,
    data: *mut u8,
    len: usize,
    tag: *const u8,
) -> i32 {
    // SAFETY: as in `seal`.
    let (key, nonce, aad, data, tag) = unsafe {
        (
            bytes(key, key_len),
            nonce.cast::<[u8; NONCE_LEN]>().read(),
            bytes(aad, aad_len),
            bytes_mut(data, len),
            tag.cast::<[u8; TAG_LEN]>().read(),
        )
    };
    match catch_unwind(std::panic::AssertUnwindSafe(|| {
        open_in_place(key, nonce, aad, data, tag)
    })) {
        Ok(Some(())) => DONE,
        _ => FAILED,
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_is_changed_does_not() {
        for key_len in [16, 32] {
            let key = vec![7u8; key_len];
            let nonce = [9u8; NONCE_LEN];
            let mut data = b"spilled rows".to_vec();
            let mut tag = [0u8; TAG_LEN];
            // SAFETY: every pointer comes from a live slice of the length given.
            let sealed = unsafe {
                seal(
                    key.as_ptr(),
                    key.len(),
                    nonce.as_ptr(),
                    std::ptr::null(),
                    0,
                    data.as_mut_ptr(),
                    data.len(),
                    tag.as_mut_ptr(),
                )
            };
            assert_eq!(sealed, DONE);
            assert_ne!(data, b"spilled rows");

            let open_with = |tag: [u8; TAG_LEN], mut data: Vec<u8>| {
                // SAFETY: every pointer comes from a live slice of the length given.
                let opened = unsafe {
                    open(
                        key.as_ptr(),
                        key.len(),
                        nonce.as_ptr(),
                        std::ptr::null(),
                        0,
                        data.as_mut_ptr(),
                        data.len(),
                        tag.as_ptr(),
                    )
                };
                (opened, data)
            };
            assert_eq!(
                open_with(tag, data.clone()),
                (DONE, b"spilled rows".to_vec())
            );
            let mut bad_tag = tag;
            bad_tag[0] ^= 1;
            assert_eq!(open_with(bad_tag, data.clone()).0, FAILED);
            let mut bad_data = data.clone();
            bad_data[3] ^= 1;
            assert_eq!(open_with(tag, bad_data).0, FAILED);
        }
    }

    #[test]
    fn odd_key_lengths_are_refused() {
        let mut data = [0u8; 4];
        assert!(seal_in_place(&[1; 24], [0; NONCE_LEN], &[], &mut data).is_none());
        assert!(seal_in_place(&[], [0; NONCE_LEN], &[], &mut data).is_none());
    }

    #[test]
    fn random_bytes_differ() {
        let mut a = [0u8; 32];
        let mut b = [0u8; 32];
        // SAFETY: both pointers come from live arrays of 32 bytes.
        let states = unsafe { (random(a.as_mut_ptr(), 32), random(b.as_mut_ptr(), 32)) };
        assert_eq!(states, (DONE, DONE));
        assert_ne!(a, b);
    }
}
