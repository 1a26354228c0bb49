#![no_main]
use std::sync::LazyLock;

use duckblind_lake::keys::{TableKey, unwrap};
use duckblind_protocol::ids::FileId;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<TableKey> = LazyLock::new(|| TableKey::generate().expect("a key"));

fuzz_target!(|data: &[u8]| {
    let file = FileId::from_bytes([1; 16]);
    assert!(unwrap(&KEY, "t", &file, "t-v1", data).is_err());
});
