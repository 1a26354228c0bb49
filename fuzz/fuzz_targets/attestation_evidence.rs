#![no_main]
use duckblind_attestation::evidence::Evidence;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Evidence::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
