//! Report and certificate must speak of the same chip and firmware, and the firmware must be new
//! enough.

use super::chain::Chain;
use crate::check::Checks;
use crate::policy::SnpPolicy;
use crate::reason::Reason;
use crate::snp::vek::VekClaims;
use crate::snp::{Generation, Report, Tcb};

pub(super) fn judge(
    checks: &mut Checks,
    report: &Report,
    chain: &Chain,
    policy: &SnpPolicy,
) -> Option<(Generation, Tcb)> {
    let generation = generation(checks, report, chain, policy)?;
    if let Some(root) = chain.root {
        let name = "platform.root";
        let pass = root.is_of(generation);
        checks.check(
            name,
            Reason::Chain,
            pass,
            format_args!("a root of {generation}"),
            root.digest(),
        );
    }
    let reported = firmware(checks, report, generation, policy);
    if let Some(claims) = &chain.claims {
        same_chip(checks, report, claims, generation);
        if let Some(reported) = reported {
            // The floors rest on the certificate, not on the report's word alone.
            checks.check(
                "tcb.certified",
                Reason::Chain,
                claims.tcb == reported,
                claims.tcb,
                reported,
            );
        }
    }
    Some((generation, reported?))
}

fn generation(
    checks: &mut Checks,
    report: &Report,
    chain: &Chain,
    policy: &SnpPolicy,
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
        generation.is_some_and(|known| policy.generations.contains(&known)),
        "a generation that the policy lists",
        got,
    );
    generation
}

fn same_chip(checks: &mut Checks, report: &Report, claims: &VekClaims, generation: Generation) {
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
    checks.check(
        "platform.chip",
        Reason::Chain,
        claims.is_chip(&report.chip_id),
        hex::encode(&claims.hw_id),
        hex::encode(report.chip_id),
    );
}

/// Every version against its floor; yields the reported one.
fn firmware(
    checks: &mut Checks,
    report: &Report,
    generation: Generation,
    policy: &SnpPolicy,
) -> Option<Tcb> {
    let floor = policy.floors.get(&generation);
    let wanted = floor.map_or_else(
        || format!("a floor for {generation} in the policy"),
        |floor| format!("at least {floor}"),
    );
    let mut decode = |name, raw| {
        let tcb = Tcb::decode(raw, generation).ok_or_else(|| hex::encode(raw));
        checks.step(name, Reason::Format, tcb, "reserved bytes are zero")
    };
    decode("tcb.current_layout", report.current_tcb);
    let reported = decode("tcb.reported_layout", report.reported_tcb);
    let committed = decode("tcb.committed_layout", report.committed_tcb);
    let launch = decode("tcb.launch_layout", report.launch_tcb);
    for (name, tcb) in [
        ("tcb.reported", reported),
        ("tcb.committed", committed),
        ("tcb.launch", launch),
    ] {
        if let Some(tcb) = tcb {
            let pass = floor.is_some_and(|floor| tcb.reaches(floor));
            checks.check(name, Reason::TcbFloor, pass, &wanted, tcb);
        }
    }
    reported
}
