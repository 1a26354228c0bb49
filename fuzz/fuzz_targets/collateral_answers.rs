//! What services answer, before anything of it is believed.
#![no_main]
use duckblind_collateral::{
    RevocationList, TdxPlatform, parse_issuer_chain, parse_qe_identity_answer, parse_tcb_answer,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = parse_tcb_answer(data);
    let _ = parse_qe_identity_answer(data);
    let _ = RevocationList::parse(data);
    let _ = TdxPlatform::of_pck(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = parse_issuer_chain(text);
    }
});
