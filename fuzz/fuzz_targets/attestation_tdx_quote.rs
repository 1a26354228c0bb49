//! Any quote: read in one way or not at all, and never accepted without Intel's word.
#![no_main]
use duckblind_attestation::appraise::crypto;
use duckblind_attestation::evidence::TdxCollateral;
use duckblind_attestation::tdx::Quote;
use duckblind_protocol::ids::UnixTime;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Quote::parse(data);
    let verdict = crypto::tdx(data, &TdxCollateral::default(), UnixTime(1_750_329_207));
    assert!(!verdict.is_accepted());
});
