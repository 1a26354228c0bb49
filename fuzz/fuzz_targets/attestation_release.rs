#![no_main]
use duckblind_attestation::release::ReleaseManifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = ReleaseManifest::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
