//! From the report's key to a pinned root: VCEK, signed by ASK, signed by ARK.

use duckblind_protocol::ids::UnixTime;

use crate::check::Checks;
use crate::evidence::Endorsements;
use crate::policy::{Root, SnpPolicy};
use crate::reason::Reason;
use crate::snp::certificate::Certificate;
use crate::snp::vek::VekClaims;

/// What the certificates say, as far as they could be read. Whether to believe it stands in the
/// checks.
#[derive(Default)]
pub(super) struct Chain {
    /// The pinned root that it ends in.
    pub(super) root: Option<Root>,
    /// The chip key.
    pub(super) key: Option<[u8; 97]>,
    /// Chip and firmware.
    pub(super) claims: Option<VekClaims>,
    /// Last second of the chip key's certificate.
    pub(super) not_after: Option<UnixTime>,
}

pub(super) fn judge(
    checks: &mut Checks,
    endorsements: &Endorsements,
    policy: &SnpPolicy,
    now: UnixTime,
) -> Chain {
    let ark = read(checks, "chain.ark", endorsements.ark.as_deref());
    let ask = read(checks, "chain.ask", endorsements.ask.as_deref());
    let vek = read(checks, "chain.vek", endorsements.vek.as_deref());
    let mut chain = Chain::default();
    if let Some(ark) = &ark {
        chain.root = pinned(checks, ark, policy);
        signed(checks, "chain.ark_signature", ark, ark);
        valid(checks, "chain.ark_validity", ark, now);
    }
    if let (Some(ask), Some(ark)) = (&ask, &ark) {
        signed(checks, "chain.ask_signature", ask, ark);
        valid(checks, "chain.ask_validity", ask, now);
    }
    if let Some(vek) = &vek {
        if let Some(ask) = &ask {
            signed(checks, "chain.vek_signature", vek, ask);
        }
        valid(checks, "chain.vek_validity", vek, now);
        chain.key = checks.step("chain.vek_key", Reason::Chain, vek.p384(), "a P-384 key");
        chain.claims = checks.step(
            "chain.vek_extensions",
            Reason::Chain,
            VekClaims::read(vek),
            "chip and firmware extensions",
        );
        chain.not_after = Some(vek.validity().1);
    }
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
fn pinned(checks: &mut Checks, ark: &Certificate, policy: &SnpPolicy) -> Option<Root> {
    let digest = ark.digest();
    let root = policy
        .roots
        .iter()
        .copied()
        .find(|root| root.digest().ct_eq(&digest));
    let expected = "a root that the policy lists and this build knows";
    checks.check("chain.root", Reason::Root, root.is_some(), expected, digest);
    root
}

fn signed(checks: &mut Checks, name: &'static str, what: &Certificate, by: &Certificate) {
    checks.step(
        name,
        Reason::Chain,
        what.signed_by(by),
        "signed by the one above",
    );
}

fn valid(checks: &mut Checks, name: &'static str, what: &Certificate, now: UnixTime) {
    let (from, to) = what.validity();
    checks.check(
        name,
        Reason::Validity,
        from <= now && now <= to,
        format_args!("a time from {from} to {to}"),
        now,
    );
}
