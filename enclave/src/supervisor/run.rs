//! The supervisor's life: boot, serve, drain, wipe.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use duckblind_protocol::ids::InstanceId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config::Config;
use crate::error::EnclaveError;
use crate::supervisor::boot::boot;
use crate::supervisor::listen::{Listening, Reader, Writer, listen};
use crate::supervisor::process::Spawner;
use crate::supervisor::session;
use crate::supervisor::shared::{Phase, RUNNING, Shared};

/// Connections at a time: twice the streams that a host lets its peers have by default, so that
/// they cannot keep it from its own challenge and watch.
const MAX_CONNECTIONS: u32 = 1024;
/// Threads of the runtime: the supervisor moves bytes, it computes little.
const RUNTIME_THREADS: usize = 2;
/// Cancelled jobs have this long to hand out their receipts.
const LAST_RECEIPTS: Duration = Duration::from_secs(3);

/// Killed processes that are not reaped after this long are left to the kernel.
const REAPED_WITHIN: Duration = Duration::from_secs(5);

/// Runs an enclave until it is told to stop. `ready` is written when it can be connected to.
pub fn run(config: &Config, ready: Option<&Path>) -> Result<(), EnclaveError> {
    crate::walls::raise_own()?;
    crate::sys::limit_arenas(2);
    more_descriptors()?;
    let (spawner, reaper) = Spawner::new(config.spill_dir.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(8)
        .enable_all()
        .build()?;
    let result = runtime.block_on(live(config, spawner, ready));
    // Drops every task, and with the tasks every key and every process.
    runtime.shutdown_timeout(LAST_RECEIPTS);
    end(reaper);
    result
}

/// Waits for the last process to be reaped, but not for ever: what is left dies with this one.
fn end(reaper: JoinHandle<()>) {
    let patience = Instant::now() + REAPED_WITHIN;
    while !reaper.is_finished() {
        if Instant::now() > patience {
            tracing::error!("query processes are left unreaped");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    if reaper.join().is_err() {
        tracing::error!("the reaper thread has panicked");
    }
}

/// Jobs bring many files: the soft limit may grow to the hard one.
fn more_descriptors() -> Result<(), EnclaveError> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, most).map_err(std::io::Error::from)?;
    Ok(())
}

async fn live(config: &Config, spawner: Spawner, ready: Option<&Path>) -> Result<(), EnclaveError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (phase, phase_seen) = watch::channel(Phase::Serving);
    let (shared, instance) = boot(config, spawner, phase_seen).await?;
    let shared = Arc::new(shared);
    let listening = listen(&config.listen).await?;
    tracing::info!(%instance, listen = %config.listen, sim = shared.sim, "enclave up");

    let pool = tokio::spawn({
        let pool = Arc::clone(&shared.pool);
        async move { pool.keep().await }
    });
    let epochs = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { shared.epochs.keep().await }
    });
    if let Some(ready) = ready {
        write_ready(ready, config, instance)?;
    }
    let busy = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    tokio::select! {
        () = accept(&listening, &shared, &busy) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    tracing::info!("draining");
    phase.send_replace(Phase::Draining);
    pool.abort();
    shared.pool.close();
    let drain = Duration::from_millis(config.timeouts.drain_ms.into());
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = drained(&shared, &listening, &busy) => {}
        () = tokio::time::sleep(drain) => {}
        // Whoever asks twice does not want to wait.
        () = again => {}
    }
    phase.send_replace(Phase::Cancelling);
    let last = drained(&shared, &listening, &busy);
    let _ = tokio::time::timeout(LAST_RECEIPTS, last).await;
    shared.epochs.close();
    epochs.abort();
    tracing::info!("enclave down");
    Ok(())
}

/// Serves connections for ever.
async fn accept(listening: &Listening, shared: &Arc<Shared>, busy: &Arc<Semaphore>) {
    loop {
        // No place, no accept: the kernel's queue holds the next ones back.
        let Ok(place) = Arc::clone(busy).acquire_owned().await else {
            return;
        };
        match listening.accept().await {
            Ok((read, write)) => {
                tokio::spawn(serve(Arc::clone(shared), read, write, place));
            }
            Err(error) => {
                // Out of descriptors, most likely: they come back.
                tracing::error!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, read: Reader, write: Writer, place: OwnedSemaphorePermit) {
    if let Err(error) = session::serve(&shared, read, write).await {
        tracing::info!(%error, "connection");
    }
    drop(place);
}

/// Returns when no job runs any more; meanwhile new connections are told that there is no more.
async fn drained(shared: &Arc<Shared>, listening: &Listening, busy: &Arc<Semaphore>) {
    let all = u32::try_from(RUNNING).unwrap_or(u32::MAX);
    tokio::select! {
        _ = shared.running.acquire_many(all) => {}
        () = accept(listening, shared, busy) => {}
    }
}

fn write_ready(path: &Path, config: &Config, instance: InstanceId) -> Result<(), EnclaveError> {
    let text = serde_json::json!({
        "listen": config.listen.to_string(),
        "instance": instance.to_string(),
    });
    // Whole or not at all: somebody waits for this file.
    let partial = path.with_extension("partial");
    std::fs::write(&partial, format!("{text}\n"))
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|source| EnclaveError::Write {
            path: path.into(),
            source,
        })
}
