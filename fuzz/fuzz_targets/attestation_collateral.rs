//! Intel's documents in their JSON form, and in the form that envelopes carry.
#![no_main]
use duckblind_attestation::evidence::{Endorsements, TdxCollateral};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(read) = TdxCollateral::from_json(data) {
        let text = read.to_json().expect("what was read can be written");
        let again = TdxCollateral::from_json(text.as_bytes());
        assert_eq!(again.expect("and read again"), read);
    }
    if let Ok(read) = Endorsements::decode(data) {
        assert_eq!(read.encode(), data);
    }
});
