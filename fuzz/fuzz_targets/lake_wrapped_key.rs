#![no_main]
use std::sync::LazyLock;

use duckblind_lake::keys::{TableKey, WrapContext, unwrap};
use duckblind_protocol::ids::FileId;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<TableKey> = LazyLock::new(|| TableKey::generate().expect("a key"));

fuzz_target!(|data: &[u8]| {
    let file = FileId::from_bytes([1; 16]);
    let context = WrapContext {
        table: "t",
        file: &file,
        key_id: "t-v1",
        column: None,
    };
    assert!(unwrap(&KEY, &context, data).is_err());
});
