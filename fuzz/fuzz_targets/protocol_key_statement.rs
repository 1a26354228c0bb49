#![no_main]
use duckblind_protocol::key_statement::KeyStatement;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = KeyStatement::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
