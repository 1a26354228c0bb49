#![no_main]
use duckblind_attestation::appraise::appraise;
use duckblind_attestation::inputs::RecordedInputs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(recorded) = RecordedInputs::decode(data) {
        assert_eq!(recorded.inputs().encode(), data);
        let _ = appraise(&recorded.inputs());
    }
});
