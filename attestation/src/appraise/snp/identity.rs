//! Report and certificate must speak of the same chip and firmware.

use super::Rules;
use super::chain::Chain;
use crate::check::Checks;
use crate::reason::Reason;
use crate::snp::vek::{Holder, VekClaims};
use crate::snp::{Generation, Report, Tcb};

/// What the platform is.
pub(super) struct Identity {
    pub(super) generation: Generation,
    pub(super) current: Option<Tcb>,
    pub(super) reported: Option<Tcb>,
    pub(super) committed: Option<Tcb>,
    pub(super) launch: Option<Tcb>,
}

pub(super) fn judge(
    checks: &mut Checks,
    report: &Report,
    chain: &Chain,
    rules: &Rules<'_>,
) -> Option<Identity> {
    let generation = generation(checks, report, chain, rules)?;
    if let Some(root) = chain.root {
        checks.check(
            "platform.root",
            Reason::Chain,
            root.is_of(generation),
            format_args!("a root of {generation}"),
            root.digest(),
        );
    }
    let mut decode = |name, raw| {
        let tcb = Tcb::decode(raw, generation).ok_or_else(|| hex::encode(raw));
        checks.step(name, Reason::Format, tcb, "reserved bytes are zero")
    };
    let identity = Identity {
        generation,
        current: decode("tcb.current_layout", report.current_tcb),
        reported: decode("tcb.reported_layout", report.reported_tcb),
        committed: decode("tcb.committed_layout", report.committed_tcb),
        launch: decode("tcb.launch_layout", report.launch_tcb),
    };
    if let Some(claims) = &chain.claims {
        same_product(checks, claims, generation);
        same_chip(checks, report, claims, rules);
        if let Some(reported) = identity.reported {
            // Floors rest on the certificate, not on the report's word alone.
            checks.check(
                "tcb.certified",
                Reason::Chain,
                claims.tcb == reported,
                claims.tcb,
                reported,
            );
        }
    }
    Some(identity)
}

fn generation(
    checks: &mut Checks,
    report: &Report,
    chain: &Chain,
    rules: &Rules<'_>,
) -> Option<Generation> {
    // Version 2 has no processor fields: only the certificate says what it is.
    let generation = if report.version >= 3 {
        report.generation()
    } else {
        chain.claims.as_ref().map(|claims| claims.generation)
    };
    let got = generation.map_or_else(|| hex::encode(report.cpuid), |known| known.to_string());
    checks.check(
        "platform.generation",
        Reason::Generation,
        generation.is_some_and(|known| rules.generations.contains(&known)),
        "a generation that the policy lists",
        got,
    );
    generation
}

fn same_product(checks: &mut Checks, claims: &VekClaims, generation: Generation) {
    checks.check(
        "platform.product",
        Reason::Chain,
        claims.generation == generation,
        generation,
        &claims.product,
    );
    checks.check(
        "platform.struct_version",
        Reason::Chain,
        claims.struct_version == generation.struct_version(),
        generation.struct_version(),
        claims.struct_version,
    );
}

/// A cloud's key speaks for all chips of the cloud, and their reports need not say which.
fn same_chip(checks: &mut Checks, report: &Report, claims: &VekClaims, rules: &Rules<'_>) {
    let masked = rules.masked_chips && report.chip_id == [0; 64];
    let (pass, expected) = match &claims.holder {
        Holder::Chip(id) => (masked || claims.is_chip(&report.chip_id), hex::encode(id)),
        Holder::Cloud(name) => (true, format!("any chip of {name}")),
    };
    let got = hex::encode(report.chip_id);
    checks.check("platform.chip", Reason::Chain, pass, expected, got);
}
