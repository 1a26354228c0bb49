//! Whether the root has taken a certificate back.

use duckblind_protocol::ids::{Digest, UnixTime};

use super::Rules;
use super::chain::Certificates;
use crate::check::Checks;
use crate::reason::Reason;
use crate::snp::SignatureCache;
use crate::snp::crl::RevocationList;

/// What a revocation list showed.
pub(super) struct Revocation {
    /// Issuer and number, if the list is genuine and of now.
    pub(super) number: Option<(Digest, u64)>,
    pub(super) window: Window,
}

/// When a list holds.
pub(super) enum Window {
    /// There is none.
    Always,
    /// From, and until.
    Within(UnixTime, UnixTime),
    /// It could not be read, or does not say.
    Never,
}

pub(super) fn judge(
    checks: &mut Checks,
    crl: Option<&[u8]>,
    certificates: &Certificates,
    rules: &Rules<'_>,
    cache: &SignatureCache,
) -> Revocation {
    let given = given(checks, crl, rules.require_crl);
    let Some(der) = given else {
        return Revocation {
            number: None,
            window: Window::Always,
        };
    };
    let Some(list) = checks.step(
        "crl.format",
        Reason::Chain,
        RevocationList::from_der(der),
        "a revocation list",
    ) else {
        return Revocation {
            number: None,
            window: Window::Never,
        };
    };
    let (from, to) = list.validity();
    let timely = timely(checks, &list, rules.now);
    let number = certificates.ark.as_ref().and_then(|ark| {
        let signed = list.signed_by(ark, cache);
        let genuine = checks.step("crl.signature", Reason::Chain, signed, "signed by the root");
        let issuer = ark.digest();
        let advanced = advanced(checks, &list, &issuer, rules);
        (genuine.is_some() && timely && advanced).then_some((issuer, list.number()))
    });
    revoked(checks, &list, certificates);
    Revocation {
        number,
        window: to.map_or(Window::Never, |to| Window::Within(from, to)),
    }
}

fn given<'a>(checks: &mut Checks, crl: Option<&'a [u8]>, required: bool) -> Option<&'a [u8]> {
    checks.check(
        "crl.given",
        Reason::CollateralMissing,
        crl.is_some() || !required,
        if required {
            "a revocation list"
        } else {
            "a revocation list, or none"
        },
        if crl.is_some() { "one" } else { "none" },
    );
    crl
}

fn timely(checks: &mut Checks, list: &RevocationList, now: UnixTime) -> bool {
    let (from, to) = list.validity();
    let expected = to.map_or_else(
        || "a list that says when there is a newer one".to_owned(),
        |to| format!("a time from {from} to {to}"),
    );
    checks.check(
        "crl.validity",
        Reason::CrlStale,
        from <= now && to.is_some_and(|to| now <= to),
        expected,
        now,
    )
}

/// Numbers only ever rise: a list with a lower one than seen before is an old one, served again.
fn advanced(
    checks: &mut Checks,
    list: &RevocationList,
    issuer: &Digest,
    rules: &Rules<'_>,
) -> bool {
    let floor = rules.floors.crl_numbers.get(issuer).copied();
    let floor = floor.unwrap_or_default();
    checks.check(
        "crl.number",
        Reason::CrlStale,
        list.number() >= floor,
        format_args!("at least {floor}"),
        list.number(),
    )
}

fn revoked(checks: &mut Checks, list: &RevocationList, certificates: &Certificates) {
    let listed: Vec<&str> = [
        ("ARK", &certificates.ark),
        ("signer", &certificates.ask),
        ("report key", &certificates.vek),
    ]
    .into_iter()
    .filter_map(|(name, certificate)| {
        let serial = certificate.as_ref()?.serial();
        list.lists(serial).then_some(name)
    })
    .collect();
    checks.check(
        "crl.revoked",
        Reason::Revoked,
        listed.is_empty(),
        "none of the chain",
        if listed.is_empty() {
            "none of the chain".to_owned()
        } else {
            listed.join(", ")
        },
    );
}
