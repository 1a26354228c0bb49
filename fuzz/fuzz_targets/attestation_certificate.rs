#![no_main]
use duckblind_attestation::snp::SignatureCache;
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::vek::VekClaims;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(data) {
        let _ = certificate.p384();
        let _ = certificate.signed_by(&certificate, &SignatureCache::none());
        let _ = VekClaims::read(&certificate);
    }
});
