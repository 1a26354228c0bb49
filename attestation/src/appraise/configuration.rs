//! The enclave's configuration, one check per field. A field without a check here would be a hole,
//! so the structures are taken apart exhaustively: a new field does not compile without one.

use std::fmt::Display;

use duckblind_protocol::ids::PublicKey;

use crate::check::Checks;
use crate::config::{ConfigLimits, EnclaveConfig, Requesters, Spill, Timeouts, Wall};
use crate::policy::{Allowed, ConfigPolicy};
use crate::reason::Reason;

pub(super) fn judge(checks: &mut Checks, config: &EnclaveConfig, policy: &ConfigPolicy) {
    let EnclaveConfig {
        v: _, // decoded as the one version there is
        walls,
        backend,
        engine,
        egress,
        clock,
        clock_source,
        providers,
        requesters,
        limits,
        timeouts,
        spill,
    } = config;
    self::walls(checks, walls, policy.walls.as_slice());
    let listed = "one that the policy lists";
    field(
        checks,
        "config.backend",
        policy.backends.contains(backend),
        listed,
        backend,
    );
    field(
        checks,
        "config.engine",
        policy.engines.contains(engine),
        listed,
        engine,
    );
    field(
        checks,
        "config.egress",
        egress.iter().all(|host| policy.egress.contains(host)),
        format_args!("only {:?}", policy.egress),
        format_args!("{egress:?}"),
    );
    field(
        checks,
        "config.clock",
        policy.clocks.contains(clock),
        listed,
        clock,
    );
    field(
        checks,
        "config.clock_source",
        policy.clock_sources.contains(clock_source),
        listed,
        clock_source,
    );
    field(
        checks,
        "config.providers",
        providers.iter().all(|one| policy.providers.contains(one)),
        "only those that the policy lists",
        names(providers.iter().map(|one| one.name())),
    );
    self::requesters(checks, requesters, &policy.requesters);
    self::limits(checks, limits, &policy.limits);
    self::timeouts(checks, timeouts, &policy.timeouts);
    self::spill(checks, *spill, walls, policy.max_spill_bytes);
}

fn field(
    checks: &mut Checks,
    name: &'static str,
    pass: bool,
    expected: impl Display,
    got: impl Display,
) {
    checks.check(name, Reason::Config, pass, expected, got);
}

fn names(list: impl Iterator<Item = &'static str>) -> String {
    list.collect::<Vec<_>>().join(", ")
}

fn walls(checks: &mut Checks, up: &[Wall], required: &[Wall]) {
    let missing = || required.iter().filter(|wall| !up.contains(wall));
    let got = if missing().next().is_none() {
        "all of them".to_owned()
    } else {
        format!("without {}", names(missing().map(|wall| wall.name())))
    };
    let expected = names(required.iter().map(|wall| wall.name()));
    field(
        checks,
        "config.walls",
        missing().next().is_none(),
        expected,
        got,
    );
}

fn requesters(checks: &mut Checks, served: &Requesters, policy: &Allowed<PublicKey>) {
    let (pass, expected) = match (policy, served) {
        (Allowed::Any, _) => (true, "anyone"),
        (Allowed::Among(_), Requesters::Any) => (false, "a list of keys"),
        (Allowed::Among(allowed), Requesters::Keys(keys)) => (
            keys.iter().all(|key| allowed.contains(key)),
            "only keys that the policy lists",
        ),
    };
    let got = match served {
        Requesters::Any => "anyone".to_owned(),
        Requesters::Keys(keys) => format!("{} keys", keys.len()),
    };
    field(checks, "config.requesters", pass, expected, got);
}

/// From 1 to `most`: 0 would switch a limit off somewhere.
fn within(checks: &mut Checks, name: &'static str, value: u64, most: u64) {
    let pass = (1..=most).contains(&value);
    field(checks, name, pass, format_args!("1 to {most}"), value);
}

fn limits(checks: &mut Checks, limits: &ConfigLimits, most: &ConfigLimits) {
    let ConfigLimits {
        max_jobs,
        standbys,
        wall_ms,
        memory_bytes,
        result_bytes,
        threads,
    } = *limits;
    within(
        checks,
        "config.limits.max_jobs",
        max_jobs.into(),
        most.max_jobs.into(),
    );
    let few = standbys <= most.standbys;
    let expected = format_args!("at most {}", most.standbys);
    field(checks, "config.limits.standbys", few, expected, standbys);
    within(
        checks,
        "config.limits.wall_ms",
        wall_ms.into(),
        most.wall_ms.into(),
    );
    within(
        checks,
        "config.limits.memory_bytes",
        memory_bytes,
        most.memory_bytes,
    );
    within(
        checks,
        "config.limits.result_bytes",
        result_bytes,
        most.result_bytes,
    );
    within(
        checks,
        "config.limits.threads",
        threads.into(),
        most.threads.into(),
    );
}

fn timeouts(checks: &mut Checks, timeouts: &Timeouts, most: &Timeouts) {
    let Timeouts {
        ticket_ms,
        expiry_ms,
        keepalive_ms,
        progress_ms,
        epoch_ms,
        drain_ms,
        standby_ms,
    } = *timeouts;
    for (name, value, most) in [
        ("config.timeouts.ticket_ms", ticket_ms, most.ticket_ms),
        ("config.timeouts.expiry_ms", expiry_ms, most.expiry_ms),
        (
            "config.timeouts.keepalive_ms",
            keepalive_ms,
            most.keepalive_ms,
        ),
        ("config.timeouts.progress_ms", progress_ms, most.progress_ms),
        ("config.timeouts.epoch_ms", epoch_ms, most.epoch_ms),
        ("config.timeouts.drain_ms", drain_ms, most.drain_ms),
        ("config.timeouts.standby_ms", standby_ms, most.standby_ms),
    ] {
        within(checks, name, value.into(), most.into());
    }
}

/// The setting and the wall that says so must agree.
fn spill(checks: &mut Checks, spill: Spill, walls: &[Wall], most: u64) {
    let (pass, got) = match spill {
        Spill::Off => (walls.contains(&Wall::NoSpill), "off".to_owned()),
        Spill::Encrypted { max_bytes } => (
            walls.contains(&Wall::EncryptedSpill)
                && !walls.contains(&Wall::NoSpill)
                && (1..=most).contains(&max_bytes),
            format!("encrypted, {max_bytes} bytes"),
        ),
    };
    let expected = format_args!("off, or encrypted up to {most} bytes, with its wall up");
    field(checks, "config.spill", pass, expected, got);
}
