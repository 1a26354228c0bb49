#![no_main]
use duckblind_attestation::snp::report::ParsedReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = ParsedReport::parse(data);
    let mut whole = [0; 1184];
    for (to, from) in whole.iter_mut().zip(data) {
        *to = *from;
    }
    assert!(ParsedReport::parse(&whole).is_ok());
});
