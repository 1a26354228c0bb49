#![no_main]
use duckblind_attestation::snp::crl::RevocationList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(list) = RevocationList::from_der(data) {
        let _ = (list.validity(), list.number(), list.lists(&[2, 0, 1]));
    }
});
