#![no_main]
use duckblind_protocol::frames::ChallengeRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = ChallengeRequest::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
