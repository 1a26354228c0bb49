#![no_main]
use duckblind_lake::manifest::VerifiedManifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(owner) = VerifiedManifest::claimed_owner(data) {
        let _ = VerifiedManifest::open(data, &owner, None);
    }
});
