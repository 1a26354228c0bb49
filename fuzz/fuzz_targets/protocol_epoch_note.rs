#![no_main]
use duckblind_protocol::frames::EpochNote;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = EpochNote::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
