#![no_main]
use duckblind_protocol::receipt::SignedUsage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = SignedUsage::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
