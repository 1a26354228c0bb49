//! TDX quotes.

use duckblind_protocol::ids::{Digest, UnixTime};

use super::CryptoVerdict;
use crate::appraise::Floors;
use crate::appraise::tdx::{Genuine, read, stages, verify};
use crate::check::Checks;
use crate::evidence::MAX_REPORT;
use crate::policy::{INTEL_ROOT, TdxRoot};
use crate::reason::Reason;
use crate::tdx::quote::QuoteError;
use crate::tdx::{Quote, TdxCollateral, pem};

/// Whether hardware of Intel's made a quote, and what Intel says of it: format, signatures, chains to
/// Intel's root, documents of `now`. SGX quotes too, which no policy accepts.
pub fn tdx(quote: &[u8], collateral: &TdxCollateral, now: UnixTime) -> CryptoVerdict {
    let mut checks = Checks::default();
    let claims = if Quote::parse(quote) == Err(QuoteError::Sgx) {
        sgx(&mut checks, quote, collateral, now)
    } else {
        let parsed = read(&mut checks, quote);
        let floors = Floors::default();
        let roots = [TdxRoot::Intel];
        let collateral = Some(collateral);
        let parsed = parsed.as_ref();
        Genuine::judge(&mut checks, quote, parsed, collateral, &roots, &floors, now).claims
    };
    let mut verdict = CryptoVerdict::new(checks, claims.is_some());
    if let (Some(claims), true) = (claims, verdict.is_accepted()) {
        verdict.tcb_status = Some(claims.tcb.status.to_string());
        verdict.advisories = claims.tcb.advisory_ids;
    }
    verdict
}

/// An enclave's quote has no form of ours: the library reads it as it likes.
fn sgx(
    checks: &mut Checks,
    quote: &[u8],
    collateral: &TdxCollateral,
    now: UnixTime,
) -> Option<dcap_qvl::QuoteClaims> {
    let expected = format_args!("at most {MAX_REPORT} bytes").to_string();
    let short = quote.len() <= MAX_REPORT;
    checks.check("quote.format", Reason::Limit, short, expected, quote.len());
    let chain = pem::decode(collateral.tcb_info_issuer_chain.as_bytes());
    let root = chain.ok().and_then(|mut chain| chain.pop());
    let digest = root.as_deref().map(Digest::of);
    let pinned = digest.is_some_and(|digest| digest.ct_eq(&INTEL_ROOT));
    let got = digest.map_or_else(|| "none".into(), |digest| digest.to_string());
    checks.check("chain.root", Reason::Root, pinned, INTEL_ROOT, got);
    let root = root.filter(|_| pinned && short)?;
    stages::verified(checks, verify(quote, collateral, &root, now))
}
