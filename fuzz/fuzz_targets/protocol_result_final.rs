#![no_main]
use duckblind_protocol::result_stream::Final;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = duckblind_protocol::cbor::decode::<Final>(data, 1 << 20) {
        assert_eq!(duckblind_protocol::cbor::encode(&value), data);
    }
});
