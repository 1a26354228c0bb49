#![no_main]
use duckblind_attestation::ear::{EarVerifyKey, verify_cose, verify_jwt};
use duckblind_protocol::ids::{PublicKey, UnixTime};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // RFC 8032, section 7.1, test 1: nobody here holds its secret half.
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let keys = [EarVerifyKey::new(key.parse::<PublicKey>().expect("a key"))];
    assert!(verify_cose(data, &keys, UnixTime(0)).is_err());
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verify_jwt(text, &keys, UnixTime(0)).is_err());
    }
});
