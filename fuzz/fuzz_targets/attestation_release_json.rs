#![no_main]
use duckblind_attestation::release::ReleaseManifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(value) = ReleaseManifest::from_json(text) {
        let again = ReleaseManifest::from_json(&value.to_json());
        assert_eq!(again.ok().map(|v| v.encode()), Some(value.encode()));
    }
});
