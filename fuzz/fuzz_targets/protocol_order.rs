#![no_main]
use duckblind_protocol::order::Order;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Order::decode(data) {
        assert_eq!(duckblind_protocol::cbor::encode(&value), data);
    }
});
