//! What tests take for the configuration and the release of an enclave.

use crate::config::{
    Backend, Clock, ConfigLimits, EnclaveConfig, Provider, Requesters, Spill, Timeouts, VERSION,
    Wall,
};
use crate::release::{self, ReleaseManifest};
use duckblind_protocol::ids::Digest;

/// One that `policies/development.toml` accepts.
pub fn config() -> EnclaveConfig {
    EnclaveConfig {
        v: VERSION,
        walls: vec![
            Wall::FreshExec,
            Wall::EmptyEnvironment,
            Wall::ClosedDescriptors,
            Wall::NoNewPrivs,
            Wall::NotDumpable,
            Wall::NoCoreDumps,
            Wall::ResourceLimits,
            Wall::ProcessGroup,
            Wall::NoSpill,
            Wall::NoCapabilities,
        ],
        backend: Backend::Process,
        engine: "duckdb 2.0.0".into(),
        egress: vec![],
        clock: Clock::Boottime,
        clock_source: "tsc".into(),
        providers: vec![Provider::LocalFake],
        requesters: Requesters::Any,
        limits: ConfigLimits {
            max_jobs: 4,
            standbys: 2,
            wall_ms: 600_000,
            memory_bytes: 4 << 30,
            result_bytes: 4 << 30,
            threads: 2,
        },
        timeouts: Timeouts {
            ticket_ms: 60_000,
            expiry_ms: 60_000,
            keepalive_ms: 30_000,
            progress_ms: 30_000,
            epoch_ms: 3_600_000,
            drain_ms: 30_000,
            standby_ms: 3_600_000,
        },
        spill: Spill::Off,
    }
}

/// One of a build that never was.
pub fn release() -> ReleaseManifest {
    ReleaseManifest {
        v: release::VERSION,
        binary: Digest::of(b"binary"),
        commit: "0123456789abcdef".into(),
        lockfile: Digest::of(b"lock"),
        rustc: "rustc 1.95.0".into(),
    }
}
