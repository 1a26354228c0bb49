//! A manifest that its owner signed, with anything in it: what may be signed can be opened.
#![no_main]
use std::sync::LazyLock;

use duckblind_lake::keys::OwnerKey;
use duckblind_lake::manifest::{Manifest, VerifiedManifest};
use libfuzzer_sys::fuzz_target;

static OWNER: LazyLock<OwnerKey> = LazyLock::new(|| OwnerKey::generate().expect("a key"));

fuzz_target!(|data: &[u8]| {
    let Ok(mut manifest) = serde_json::from_slice::<Manifest>(data) else {
        return;
    };
    manifest.owner = OWNER.public();
    if let Ok(bytes) = manifest.clone().sign(&OWNER) {
        let open = VerifiedManifest::open(&bytes, &OWNER.public(), None);
        assert_eq!(open.expect("what was signed opens").manifest(), &manifest);
    }
});
