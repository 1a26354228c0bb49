#![no_main]
use duckblind_attestation::config::EnclaveConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = EnclaveConfig::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
