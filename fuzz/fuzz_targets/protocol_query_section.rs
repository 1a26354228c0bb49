#![no_main]
use duckblind_protocol::body::QuerySection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = QuerySection::decode(data) {
        assert_eq!(value.encode().as_slice(), data);
    }
});
