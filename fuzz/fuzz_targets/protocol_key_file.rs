#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = duckblind_protocol::key_file::parse_public(text);
        let _ = duckblind_protocol::key_file::parse_secret(text);
    }
});
