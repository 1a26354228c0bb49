#![no_main]
use duckblind_attestation::attester::certificate_table;
use duckblind_attestation::snp::report::SigningKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = certificate_table::read(data, SigningKey::Vcek);
});
