//! What tests take for an enclave: its configuration, release, keys and evidence.

use crate::attester::{AttestError, Attester};
use crate::config::{
    Backend, Clock, ConfigLimits, EnclaveConfig, Provider, Requesters, Spill, Timeouts, VERSION,
    Wall,
};
use crate::evidence::{self, Evidence};
use crate::release::{self, ReleaseManifest};
use duckblind_protocol::ids::{Digest, InstanceId, PublicKey};
use duckblind_protocol::key_statement::{
    self, Challenge, KEM_KEY_LEN, KeyStatement, Suite, Tee, report_data,
};

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

/// A key statement of epoch 0 that binds these two.
pub fn statement(tee: Tee, config: &EnclaveConfig, release: &ReleaseManifest) -> KeyStatement {
    KeyStatement {
        v: key_statement::VERSION,
        tee,
        suite: Suite::XWingHkdfSha256Aes256Gcm,
        kem_key: vec![1; KEM_KEY_LEN],
        instance_key: PublicKey::from_bytes([2; 32]),
        instance: InstanceId::from_bytes([4; 32]),
        epoch: 0,
        config: config.digest(),
        release: release.digest(),
        prev: None,
    }
}

/// What an enclave with all of this on `platform` answers a challenge with.
pub fn evidence(
    platform: &impl Attester,
    statement: &KeyStatement,
    challenge: &Challenge,
    config: &EnclaveConfig,
    release: &ReleaseManifest,
) -> Result<Evidence, AttestError> {
    let (key_statement, challenge) = (statement.encode(), challenge.encode());
    let raw = platform.attest(&report_data(&key_statement, &challenge))?;
    Ok(Evidence {
        v: evidence::VERSION,
        tee: platform.tee(),
        report: raw.report,
        key_statement,
        challenge,
        config: config.encode(),
        release: release.encode(),
        endorsements: raw.endorsements,
        event_log: raw.event_log,
    })
}
