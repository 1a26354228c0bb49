//! The report's layout and signature.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

use super::Rules;
use super::chain::Chain;
use crate::check::Checks;
use crate::reason::Reason;
use crate::snp::report::{ECDSA_P384_SHA384, ParsedReport};

pub(super) fn judge(
    checks: &mut Checks,
    parsed: &ParsedReport<'_>,
    chain: &Chain,
    rules: &Rules<'_>,
) {
    let report = &parsed.report;
    checks.check(
        "report.version",
        Reason::Version,
        rules.versions.contains(&report.version),
        format_args!("one of {:?}", rules.versions),
        report.version,
    );
    let zero = |clean| if clean { "zero" } else { "not zero" };
    checks.check(
        "report.reserved",
        Reason::Format,
        parsed.reserved_clean,
        "reserved bytes are zero",
        zero(parsed.reserved_clean),
    );
    checks.check(
        "report.signature_algorithm",
        Reason::Signature,
        report.sig_algo == ECDSA_P384_SHA384,
        ECDSA_P384_SHA384,
        report.sig_algo,
    );
    keys(checks, parsed, chain, rules);
    checks.check(
        "report.signature_padding",
        Reason::Signature,
        parsed.padding_clean,
        "unused signature bytes are zero",
        zero(parsed.padding_clean),
    );
    if let Some(key) = chain.key {
        // Over the bytes as they came, never over a re-encoding of the parsed report.
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key);
        let holds = key.verify(parsed.signed, &parsed.signature).is_ok();
        let signed = "signed by the key of the certificate";
        checks.check(
            "report.signature",
            Reason::Signature,
            holds,
            signed,
            if holds { signed } else { "does not verify" },
        );
    }
}

/// Which kind of key the report names, and whether the certificate is of that kind.
fn keys(checks: &mut Checks, parsed: &ParsedReport<'_>, chain: &Chain, rules: &Rules<'_>) {
    let report = &parsed.report;
    let kind = report.signing_key();
    let names: Vec<_> = rules.signing_keys.iter().map(|key| key.name()).collect();
    checks.check(
        "report.signing_key",
        Reason::Chain,
        rules.signing_keys.contains(&kind),
        format_args!("one of {names:?}"),
        kind,
    );
    if let Some(claims) = &chain.claims {
        checks.check(
            "report.certified_key",
            Reason::Chain,
            claims.kind() == kind,
            claims.kind(),
            kind,
        );
    }
    checks.check(
        "report.chip_key_mask",
        Reason::Platform,
        !report.chip_key_masked(),
        false,
        report.chip_key_masked(),
    );
    let author = report.author_key_digest != [0; 48];
    checks.check(
        "report.author_key_flag",
        Reason::Format,
        report.author_key_enabled() == author,
        format_args!("{author}, as the digest of such a key"),
        report.author_key_enabled(),
    );
}
