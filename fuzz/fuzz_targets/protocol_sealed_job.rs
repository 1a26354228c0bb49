#![no_main]
use duckblind_protocol::sealed_job::SealedJob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = SealedJob::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
