#![no_main]
use duckblind_attestation::tdx::EventLog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(log) = EventLog::parse(data) {
        assert!(log.events().iter().all(|event| event.register < 4));
    }
});
