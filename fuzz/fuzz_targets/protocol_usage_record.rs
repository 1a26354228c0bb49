#![no_main]
use duckblind_protocol::receipt::UsageRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = duckblind_protocol::cbor::decode::<UsageRecord>(data, 1 << 20) {
        assert_eq!(duckblind_protocol::cbor::encode(&value), data);
    }
});
