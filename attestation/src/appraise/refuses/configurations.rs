//! The enclave's configuration, field by field.

use duckblind_protocol::ids::PublicKey;

use super::refused_by;
use crate::config::{EnclaveConfig, Requesters, Spill, Wall};
use crate::reason::Reason;
use crate::testing::Case;

#[track_caller]
fn refused(check: &str, change: impl FnOnce(&mut EnclaveConfig)) {
    let mut case = Case::good();
    change(&mut case.config);
    case.restate();
    refused_by(&case.judge(), &[check], Reason::Config);
}

#[test]
fn each_required_wall() {
    let required = [
        Wall::FreshExec,
        Wall::EmptyEnvironment,
        Wall::ClosedDescriptors,
        Wall::NoNewPrivs,
        Wall::NotDumpable,
        Wall::NoCoreDumps,
        Wall::ResourceLimits,
        Wall::ProcessGroup,
        Wall::NoCapabilities,
    ];
    for wall in required {
        refused("config.walls", |config| {
            config.walls.retain(|up| *up != wall);
        });
    }
}

#[test]
fn spill_and_its_wall() {
    refused("config.spill", |config| {
        config.walls.retain(|up| *up != Wall::NoSpill);
    });
    let encrypted = |max_bytes| Spill::Encrypted { max_bytes };
    refused("config.spill", |config| config.spill = encrypted(1));
    refused("config.spill", |config| {
        config.walls.push(Wall::EncryptedSpill);
        config.walls.sort();
        config.spill = encrypted(1);
    });
    for max_bytes in [0, u64::MAX] {
        refused("config.spill", |config| {
            config.walls.retain(|up| *up != Wall::NoSpill);
            config.walls.push(Wall::EncryptedSpill);
            config.walls.sort();
            config.spill = encrypted(max_bytes);
        });
    }
}

#[test]
fn names() {
    refused("config.engine", |config| {
        config.engine = "duckdb 1.0.0".into();
    });
    refused("config.engine", |config| config.engine.clear());
    refused("config.egress", |config| {
        config.egress.push("example.org".into());
    });
    refused("config.clock_source", |config| {
        config.clock_source = "jiffies".into();
    });
}

#[test]
fn requesters() {
    let key = PublicKey::from_bytes([1; 32]);
    let mut case = Case::good();
    case.edit_policy(
        "requesters = [\"any\"]",
        &format!("requesters = [\"{key}\"]"),
    );
    refused_by(&case.judge(), &["config.requesters"], Reason::Config);
    case.config.requesters = Requesters::Keys(vec![key, PublicKey::from_bytes([2; 32])]);
    case.restate();
    refused_by(&case.judge(), &["config.requesters"], Reason::Config);
}

#[test]
fn limits() {
    type Set = fn(&mut EnclaveConfig, u32);
    let limits: [(&str, Set); 6] = [
        ("config.limits.max_jobs", |c, n| c.limits.max_jobs = n),
        ("config.limits.wall_ms", |c, n| c.limits.wall_ms = n),
        ("config.limits.memory_bytes", |c, n| {
            c.limits.memory_bytes = u64::from(n) << 32;
        }),
        ("config.limits.result_bytes", |c, n| {
            c.limits.result_bytes = u64::from(n) << 32;
        }),
        ("config.limits.threads", |c, n| c.limits.threads = n),
        ("config.timeouts.epoch_ms", |c, n| c.timeouts.epoch_ms = n),
    ];
    for (check, set) in limits {
        refused(check, |config| set(config, 0));
        refused(check, |config| set(config, u32::MAX));
    }
    refused("config.limits.standbys", |config| {
        config.limits.standbys = u32::MAX;
    });
}

#[test]
fn timeouts() {
    type Field = fn(&mut EnclaveConfig) -> &mut u32;
    let timeouts: [(&str, Field); 7] = [
        ("config.timeouts.ticket_ms", |c| &mut c.timeouts.ticket_ms),
        ("config.timeouts.expiry_ms", |c| &mut c.timeouts.expiry_ms),
        ("config.timeouts.keepalive_ms", |c| {
            &mut c.timeouts.keepalive_ms
        }),
        ("config.timeouts.progress_ms", |c| {
            &mut c.timeouts.progress_ms
        }),
        ("config.timeouts.epoch_ms", |c| &mut c.timeouts.epoch_ms),
        ("config.timeouts.drain_ms", |c| &mut c.timeouts.drain_ms),
        ("config.timeouts.standby_ms", |c| &mut c.timeouts.standby_ms),
    ];
    for (check, field) in timeouts {
        refused(check, |config| *field(config) = 0);
        refused(check, |config| *field(config) = u32::MAX);
    }
}

#[test]
fn several_failures_are_all_named() {
    let mut case = Case::good();
    case.config.engine = "x".into();
    case.config.clock_source = "x".into();
    case.config.timeouts.ticket_ms = 0;
    case.restate();
    let failed = [
        "config.engine",
        "config.clock_source",
        "config.timeouts.ticket_ms",
    ];
    refused_by(&case.judge(), &failed, Reason::Config);
}
