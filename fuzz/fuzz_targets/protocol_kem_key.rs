//! Sealing to whatever an enclave calls its key.
#![no_main]
use duckblind_fuzz::job::sealed_to;
use duckblind_protocol::key_statement::KEM_KEY_LEN;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() != KEM_KEY_LEN {
        assert!(sealed_to(data).is_err());
    }
    let mut whole = [0; KEM_KEY_LEN];
    for (to, from) in whole.iter_mut().zip(data) {
        *to = *from;
    }
    let _ = sealed_to(&whole);
});
