#![no_main]
use duckblind_protocol::receipt::JobReceipt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = duckblind_protocol::cbor::decode::<JobReceipt>(data, 1 << 20) {
        assert_eq!(duckblind_protocol::cbor::encode(&value), data);
    }
});
