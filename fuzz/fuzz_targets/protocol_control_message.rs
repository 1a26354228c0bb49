#![no_main]
use duckblind_protocol::control::ControlMessage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = duckblind_protocol::cbor::decode::<ControlMessage>(data, 1 << 20) {
        assert_eq!(duckblind_protocol::cbor::encode(&value), data);
    }
});
