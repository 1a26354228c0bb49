//! Wrapped data keys from a manifest, under keys of every length; nothing opens.
#![no_main]
use std::sync::LazyLock;

use duckblind_lake::keys::{TableKey, WrapContext, unwrap};
use duckblind_protocol::ids::FileId;
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<[TableKey; 3]> =
    LazyLock::new(|| [16, 24, 32].map(|n| TableKey::from_hex(&"5a".repeat(n)).expect("a key")));

fuzz_target!(|data: &[u8]| {
    let file = FileId::from_bytes([1; 16]);
    for (key, column) in KEYS.iter().zip([None, Some(""), Some("a.b")]) {
        let context = WrapContext {
            table: "t",
            file: &file,
            key_id: "t-v1",
            column,
        };
        assert!(unwrap(key, &context, data).is_err());
    }
});
