#![no_main]
use duckblind_protocol::frames::Refused;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Refused::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
