//! From a configuration to a supervisor that can attest and take jobs.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use duckblind_attestation::attester::Attester;
use duckblind_attestation::config::{Backend, Clock, EnclaveConfig, Provider, VERSION};
use duckblind_attestation::release::ReleaseManifest;
use duckblind_protocol::ids::{Digest, Hasher, InstanceId, PublicKey};
use ed25519_dalek::SigningKey;
use rustix::fs::{Mode, OFlags};
use tokio::sync::{Semaphore, watch};
use zeroize::Zeroizing;

use crate::clock::{BootTime, clock_source};
use crate::config::{Config, Simulator};
use crate::error::EnclaveError;
use crate::supervisor::epoch::{Epochs, Identity};
use crate::supervisor::evidence::Turns;
use crate::supervisor::pool::{Pool, Told};
use crate::supervisor::process::Spawner;
use crate::supervisor::shared::{Phase, RUNNING, Shared};

/// Bytes of a release manifest's file, at most.
const MAX_RELEASE: u64 = 64 << 10;

/// A platform that attests.
struct Platform {
    attester: Arc<dyn Attester>,
    sim: bool,
}

/// Makes keys, raises a first process to read its walls back, and puts all together.
pub async fn boot(
    config: &Config,
    spawner: Spawner,
    phase: watch::Receiver<Phase>,
) -> Result<(Shared, InstanceId), EnclaveError> {
    let release = release(&config.release)?;
    let platform = platform(config.simulator.as_ref())?;
    let storage = storage(&config.storage_root)?;
    let pool = Pool::new(config, spawner)?;
    // A wall that does not stand here and now is no wall: what is attested is what was read back.
    let (_probe, told) = pool.prepare().await?;
    let attested = attested(config, told);
    let instance = instance_key()?;
    let id = InstanceId::random()?;
    let identity = Identity {
        tee: platform.attester.tee(),
        instance_key: PublicKey::of(&instance),
        instance: id,
        config: attested.digest(),
        release: release.digest(),
    };
    let epochs = Epochs::begin(
        identity,
        config.timeouts.epoch_ms,
        config.timeouts.ticket_ms,
        BootTime::now(),
    )?;
    let shared = Shared {
        instance,
        epochs,
        pool: Arc::new(pool),
        slots: Arc::new(Semaphore::new(config.limits.max_jobs as usize)),
        running: Arc::new(Semaphore::new(RUNNING)),
        turns: Turns::default(),
        attester: platform.attester,
        sim: platform.sim,
        config: attested.encode(),
        release: release.encode(),
        limits: config.limits,
        timeouts: config.timeouts,
        requesters: config.requesters.clone(),
        storage,
        phase,
    };
    Ok((shared, id))
}

fn attested(config: &Config, told: Told) -> EnclaveConfig {
    EnclaveConfig {
        v: VERSION,
        walls: told.walls,
        backend: Backend::Process,
        engine: told.engine,
        egress: Vec::new(),
        clock: Clock::Boottime,
        clock_source: clock_source(),
        providers: vec![Provider::LocalFake],
        requesters: config.requesters.clone(),
        limits: config.limits,
        timeouts: config.timeouts,
        spill: config.spill,
    }
}

fn instance_key() -> Result<SigningKey, EnclaveError> {
    let mut seed = Zeroizing::new([0; 32]);
    duckblind_protocol::ids::random_bytes(seed.as_mut())?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The release manifest, if it is that of the running program.
fn release(path: &Path) -> Result<ReleaseManifest, EnclaveError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_RELEASE).read_to_string(&mut text))
        .map_err(|source| EnclaveError::ReleaseRead {
            path: path.into(),
            source,
        })?;
    let release = ReleaseManifest::from_json(&text)?;
    let binary = own_digest()?;
    if release.binary.ct_eq(&binary) {
        Ok(release)
    } else {
        Err(EnclaveError::ReleaseMismatch {
            manifest: release.binary,
            binary,
        })
    }
}

/// SHA-256 of the running program.
fn own_digest() -> Result<Digest, EnclaveError> {
    let mut program = File::open("/proc/self/exe")?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match program.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

fn storage(path: &Path) -> Result<OwnedFd, EnclaveError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|error| EnclaveError::Storage {
        path: path.into(),
        source: error.into(),
    })
}

#[cfg(feature = "simulator")]
fn platform(simulator: Option<&Simulator>) -> Result<Platform, EnclaveError> {
    use crate::config::SimulatedPlatform;
    use duckblind_attestation::simulator::{ReportVersion, SimulatedSnp, SimulatedTdx};

    let Some(Simulator { dir, platform }) = simulator else {
        return hardware();
    };
    let snp = |version| {
        SimulatedSnp::open(dir).map(|snp| Arc::new(snp.with(version)) as Arc<dyn Attester>)
    };
    let simulated = match platform {
        SimulatedPlatform::SevSnp => snp(ReportVersion::V3),
        SimulatedPlatform::SevSnpV5 => snp(ReportVersion::V5),
        SimulatedPlatform::Tdx => SimulatedTdx::open(dir).map(|tdx| Arc::new(tdx) as _),
    };
    let attester = simulated.map_err(|error| EnclaveError::Attest(Box::new(error)))?;
    tracing::warn!("SIMULATED PLATFORM: nothing here is protected from this machine's owner");
    Ok(Platform {
        attester,
        sim: true,
    })
}

#[cfg(not(feature = "simulator"))]
fn platform(simulator: Option<&Simulator>) -> Result<Platform, EnclaveError> {
    match simulator {
        None => hardware(),
        Some(_) => Err(EnclaveError::NoSimulator),
    }
}

fn hardware() -> Result<Platform, EnclaveError> {
    use duckblind_attestation::attester::tsm::{DEFAULT_EVENT_LOG, DEFAULT_ROOT};
    use duckblind_attestation::attester::{AttestError, ConfigfsTsm};
    match ConfigfsTsm::at(DEFAULT_ROOT, DEFAULT_EVENT_LOG) {
        Ok(tsm) => Ok(Platform {
            attester: Arc::new(tsm),
            sim: false,
        }),
        Err(error @ AttestError::NoInterface(_)) => Err(EnclaveError::NoTee(error)),
        Err(error) => Err(EnclaveError::Attest(Box::new(error))),
    }
}
