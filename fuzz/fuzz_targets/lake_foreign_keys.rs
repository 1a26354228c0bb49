//! What files encrypted elsewhere bring along: key material, key files, IcefallDB's marker.
#![no_main]
use std::sync::LazyLock;

use duckblind_lake::keys::{ForeignKeys, KeyMaterial, TableKey};
use duckblind_lake::table::IcefallMarker;
use libfuzzer_sys::fuzz_target;

static MASTER: LazyLock<TableKey> = LazyLock::new(|| TableKey::generate().expect("a key"));

fuzz_target!(|data: &[u8]| {
    // Nobody knows the master key, so nothing opens.
    if let Some(KeyMaterial::Inside(material)) = KeyMaterial::parse(data) {
        assert!(material.open(&MASTER).is_err());
    }
    if let Some(keys) = ForeignKeys::parse(data) {
        let _ = keys.data_key(Some("c"), Some(data), &|_| Some(data.to_vec()));
    }
    let _ = IcefallMarker::parse(data);
});
