#![no_main]
use duckblind_protocol::key_statement::Challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Challenge::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
