//! The firmware must be new enough, and its versions must make sense together.

use super::identity::Identity;
use crate::check::Checks;
use crate::policy::{Floor, SnpPolicy};
use crate::reason::Reason;
use crate::snp::{Report, Tcb};

pub(super) fn judge(checks: &mut Checks, report: &Report, identity: &Identity, policy: &SnpPolicy) {
    let floor = policy.floors.get(&identity.generation);
    versions(checks, identity, floor);
    order(checks, identity);
    builds(checks, report, identity, floor);
    let provisional = is_provisional(report);
    let allowed = policy.platform.allow_provisional_firmware;
    checks.check(
        "tcb.provisional",
        Reason::TcbFloor,
        allowed || !provisional,
        if allowed {
            "either"
        } else {
            "what runs is committed"
        },
        if provisional {
            "what runs is not committed"
        } else {
            "what runs is committed"
        },
    );
    mitigations(checks, report, floor);
}

/// Whether firmware runs that is not committed: the host can still go back.
pub(super) fn is_provisional(report: &Report) -> bool {
    report.current_tcb != report.committed_tcb || report.current != report.committed
}

fn wanted(identity: &Identity, floor: Option<impl std::fmt::Display>) -> String {
    match floor {
        Some(floor) => format!("at least {floor}"),
        None => format!("a floor for {} in the policy", identity.generation),
    }
}

fn versions(checks: &mut Checks, identity: &Identity, floor: Option<&Floor>) {
    let wanted = wanted(identity, floor.map(|floor| floor.tcb));
    for (name, tcb) in [
        ("tcb.reported", identity.reported),
        // The host can go back to it.
        ("tcb.committed", identity.committed),
        // The guest may have started on it.
        ("tcb.launch", identity.launch),
    ] {
        if let Some(tcb) = tcb {
            let pass = floor.is_some_and(|floor| tcb.reaches(&floor.tcb));
            checks.check(name, Reason::TcbFloor, pass, &wanted, tcb);
        }
    }
}

/// Component by component: the chip key may be of an older version than the committed one, which
/// may be older than the running one. Honest firmware never says otherwise.
fn order(checks: &mut Checks, identity: &Identity) {
    let mut at_most = |name, low: Option<Tcb>, high: Option<Tcb>| {
        if let (Some(low), Some(high)) = (low, high) {
            let expected = format_args!("at most {high}");
            checks.check(name, Reason::TcbFloor, high.reaches(&low), expected, low);
        }
    };
    let Identity {
        generation: _,
        current,
        reported,
        committed,
        launch,
    } = *identity;
    at_most("tcb.reported_order", reported, committed);
    at_most("tcb.committed_order", committed, current);
    at_most("tcb.launch_order", launch, current);
}

fn builds(checks: &mut Checks, report: &Report, identity: &Identity, floor: Option<&Floor>) {
    let wanted = wanted(identity, floor.map(|floor| floor.firmware));
    for (name, build) in [
        ("firmware.current", report.current),
        ("firmware.committed", report.committed),
    ] {
        let pass = floor.is_some_and(|floor| build.reaches(&floor.firmware));
        checks.check(name, Reason::TcbFloor, pass, &wanted, build);
    }
}

/// Reports before version 5 have none of these bits: there they are zero, and fail whatever is
/// required.
fn mitigations(checks: &mut Checks, report: &Report, floor: Option<&Floor>) {
    for (name, got, required) in [
        (
            "mitigations.launch",
            report.launch_mitigations,
            floor.map(|floor| floor.launch_mitigations),
        ),
        (
            "mitigations.current",
            report.current_mitigations,
            floor.map(|floor| floor.current_mitigations),
        ),
    ] {
        let required = required.unwrap_or(u64::MAX);
        checks.check(
            name,
            Reason::TcbFloor,
            got & required == required,
            format_args!("bits {required:#x}"),
            format_args!("{got:#x}"),
        );
    }
}
