//! From the report's key to a pinned root: VCEK, signed by ASK, or VLEK, signed by ASVK; and these,
//! signed by ARK.

use duckblind_protocol::ids::{Digest, UnixTime};

use super::super::Collateral;
use super::{Rules, revocation};
use crate::check::Checks;
use crate::evidence::Endorsements;
use crate::policy::Root;
use crate::reason::Reason;
use crate::snp::SignatureCache;
use crate::snp::certificate::Certificate;
use crate::snp::report::SigningKey;
use crate::snp::vek::VekClaims;

/// What the vendor's documents say, as far as they could be read. Whether to believe it stands in
/// the checks.
#[derive(Default)]
pub(super) struct Chain {
    /// The pinned root that it ends in.
    pub(super) root: Option<Root>,
    /// The key that signs reports.
    pub(super) key: Option<[u8; 97]>,
    /// Chip or cloud, and firmware.
    pub(super) claims: Option<VekClaims>,
    pub(super) collateral: Collateral,
    /// The root that issued the revocation list, and the list's number, if all of it is in order.
    pub(super) crl_number: Option<(Digest, u64)>,
}

/// The certificates, as far as they could be read.
pub(super) struct Certificates {
    pub(super) ark: Option<Certificate>,
    pub(super) ask: Option<Certificate>,
    pub(super) vek: Option<Certificate>,
}

pub(super) fn judge(checks: &mut Checks, endorsements: &Endorsements, rules: &Rules<'_>) -> Chain {
    let certificates = Certificates {
        ark: read(checks, "chain.ark", endorsements.ark.as_deref()),
        ask: read(checks, "chain.ask", endorsements.ask.as_deref()),
        vek: read(checks, "chain.vek", endorsements.vek.as_deref()),
    };
    let mut chain = Chain::default();
    let none = SignatureCache::none();
    let mut cache = &none;
    if let Some(ark) = &certificates.ark {
        chain.root = pinned(checks, ark, rules);
        if chain.root.is_some() {
            // Only below a known root: strangers' signatures would crowd out the others.
            cache = rules.cache;
        }
        signed(checks, "chain.ark_signature", ark, ark, cache);
        checks.valid("chain.ark_validity", ark.validity(), rules.now);
    }
    let crl = endorsements.crl.as_deref();
    let revocation = revocation::judge(checks, crl, &certificates, rules, cache);
    if let (Some(ask), Some(ark)) = (&certificates.ask, &certificates.ark) {
        if !signed(checks, "chain.ask_signature", ask, ark, cache) {
            cache = &none;
        }
        checks.valid("chain.ask_validity", ask.validity(), rules.now);
    }
    if let Some(vek) = &certificates.vek {
        if let Some(ask) = &certificates.ask {
            signed(checks, "chain.vek_signature", vek, ask, cache);
        }
        checks.valid("chain.vek_validity", vek.validity(), rules.now);
        chain.key = checks.step("chain.vek_key", Reason::Chain, vek.p384(), "a P-384 key");
        chain.claims = checks.step(
            "chain.vek_extensions",
            Reason::Chain,
            VekClaims::read(vek),
            "chip or cloud and firmware extensions",
        );
        if let (Some(ask), Some(claims)) = (&certificates.ask, &chain.claims) {
            signer(checks, ask, claims);
        }
    }
    chain.crl_number = revocation.number.filter(|_| chain.root.is_some());
    chain.collateral = Collateral {
        digests: digests(endorsements),
        window: window(&certificates, revocation.window),
    };
    chain
}

fn read(checks: &mut Checks, name: &'static str, der: Option<&[u8]>) -> Option<Certificate> {
    let Some(der) = der else {
        let reason = Reason::CollateralMissing;
        checks.check(name, reason, false, "a certificate", "none");
        return None;
    };
    checks.step(
        name,
        Reason::Chain,
        Certificate::from_der(der),
        "a certificate",
    )
}

/// The root is known by the digest of its whole certificate; what it says of itself counts for
/// nothing.
fn pinned(checks: &mut Checks, ark: &Certificate, rules: &Rules<'_>) -> Option<Root> {
    let digest = ark.digest();
    let mut roots = rules.roots.iter().copied();
    let root = roots.find(|root| root.digest().ct_eq(&digest));
    let expected = "a root that the policy lists and this build knows";
    checks.check("chain.root", Reason::Root, root.is_some(), expected, digest);
    root
}

fn signed(
    checks: &mut Checks,
    name: &'static str,
    what: &Certificate,
    by: &Certificate,
    cache: &SignatureCache,
) -> bool {
    let signed = what.signed_by(by, cache);
    let expected = "signed by the one above";
    checks.step(name, Reason::Chain, signed, expected).is_some()
}

/// Chips' keys and clouds' keys have signers of their own: neither may stand in for the other.
fn signer(checks: &mut Checks, ask: &Certificate, claims: &VekClaims) {
    let name = |clouds| if clouds { "ASVK" } else { "ASK" };
    let wanted = claims.kind() == SigningKey::Vlek;
    let got = ask.is_vlek_signer();
    checks.check(
        "chain.vek_signer",
        Reason::Chain,
        wanted == got,
        name(wanted),
        name(got),
    );
}

fn digests(endorsements: &Endorsements) -> std::collections::BTreeMap<&'static str, Digest> {
    [
        ("ark", &endorsements.ark),
        ("ask", &endorsements.ask),
        ("crl", &endorsements.crl),
        ("vek", &endorsements.vek),
    ]
    .into_iter()
    .filter_map(|(name, der)| Some((name, Digest::of(der.as_ref()?))))
    .collect()
}

/// When all of them hold at once.
fn window(
    certificates: &Certificates,
    revocation: revocation::Window,
) -> Option<(UnixTime, UnixTime)> {
    let mut window = match revocation {
        revocation::Window::Always => (UnixTime(i64::MIN), UnixTime(i64::MAX)),
        revocation::Window::Within(from, to) => (from, to),
        revocation::Window::Never => return None,
    };
    for certificate in [&certificates.ark, &certificates.ask, &certificates.vek] {
        let (from, to) = certificate.as_ref()?.validity();
        window = (window.0.max(from), window.1.min(to));
    }
    Some(window)
}
