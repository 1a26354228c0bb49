//! Warm query processes that wait for their one job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duckblind_attestation::config::{Spill, Wall};
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use crate::clock::BootTime;
use crate::config::Config;
use crate::error::EnclaveError;
use crate::handover::{Setup, SpillRoom};
use crate::supervisor::process::{QueryProcess, Spawner};
use crate::walls::{self, Expected};

/// A process that is not warm after this long never will be.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often idle standbys are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A job that runs longer than this has its place in the pool filled meanwhile; a shorter one is
/// not to share its processors with a starting process.
const REFILL_AFTER: Duration = Duration::from_millis(100);
/// Between failed attempts to start a process, at most.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A warm process, its walls up.
pub struct Standby {
    /// The process.
    pub process: QueryProcess,
    /// What its result comes through.
    pub result: pipe::Receiver,
    born: BootTime,
}

/// What a warm process has told of itself.
pub struct Told {
    /// Walls, judged.
    pub walls: Vec<Wall>,
    /// Engine name and version.
    pub engine: String,
}

fn missing((wall, got): walls::Missing) -> EnclaveError {
    EnclaveError::WallMissing(wall, got)
}

/// The pool.
pub struct Pool {
    spawner: Spawner,
    setup: Setup,
    spill_bytes: u64,
    program: (u64, u64),
    wanted: usize,
    life_ms: u64,
    waiting: Mutex<VecDeque<Standby>>,
    refill: Notify,
}

impl Pool {
    /// An empty one.
    pub fn new(config: &Config, spawner: Spawner) -> Result<Self, EnclaveError> {
        let spill_bytes = match config.spill {
            Spill::Off => 0,
            Spill::Encrypted { max_bytes } => max_bytes,
        };
        let spill = config.spill_dir.as_ref().map(|dir| SpillRoom {
            dir: dir.display().to_string(),
            max_bytes: spill_bytes,
        });
        Ok(Self {
            spawner,
            setup: Setup {
                threads: config.limits.threads,
                memory_bytes: config.limits.memory_bytes,
                spill,
            },
            spill_bytes,
            program: walls::program()?,
            wanted: config.limits.standbys as usize,
            life_ms: config.timeouts.standby_ms.into(),
            waiting: Mutex::new(VecDeque::new()),
            refill: Notify::new(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Standby>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A standby, if one is there: alive, silent, not too old.
    pub fn take(&self) -> Option<Standby> {
        let now = BootTime::now();
        let mut waiting = self.waiting();
        while let Some(standby) = waiting.pop_front() {
            if self.is_good(&standby, now) {
                tracing::info!(ready = waiting.len(), wanted = self.wanted, "standby taken");
                return Some(standby);
            }
        }
        None
    }

    fn is_good(&self, standby: &Standby, now: BootTime) -> bool {
        now.since(standby.born) < self.life_ms && standby.process.channel.is_silent()
    }

    /// Starts a process and waits until it is warm and its walls are up.
    pub async fn prepare(&self) -> Result<(Standby, Told), EnclaveError> {
        let (mut process, result) = self.spawner.start().await.map_err(EnclaveError::Spawn)?;
        let warm = async {
            process.channel.setup(&self.setup).await?;
            process.channel.ready().await
        };
        let ready = tokio::time::timeout(READY_WITHIN, warm)
            .await
            .map_err(|_| EnclaveError::Standby("not warm in time".into()))?
            .map_err(|error| EnclaveError::Standby(error.to_string()))?;
        let expected = Expected {
            pid: process.pid(),
            program: self.program,
            memory_bytes: self.setup.memory_bytes,
            threads: self.setup.threads,
            spill_bytes: self.spill_bytes,
        };
        if let Some(facts) = &ready.facts {
            // First of all, even if there is worse: a missing wall is named.
            walls::judge(facts, &expected).map_err(missing)?;
        }
        let facts = match (ready.facts, ready.failure) {
            (Some(facts), None) => facts,
            (_, failure) => {
                let why = failure.unwrap_or_else(|| "it does not tell of its walls".into());
                return Err(EnclaveError::Standby(why));
            }
        };
        let walls = walls::judge(&facts, &expected).map_err(missing)?;
        let standby = Standby {
            process,
            result,
            born: BootTime::now(),
        };
        let told = Told {
            walls,
            engine: ready.engine,
        };
        Ok((standby, told))
    }

    /// A job has ended: its place may be filled.
    pub fn refill(&self) {
        self.refill.notify_one();
    }

    /// A job has begun: its place is filled if it goes on for long.
    pub fn refill_later(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(REFILL_AFTER).await;
            pool.refill();
        });
    }

    /// Keeps the pool full; never returns.
    pub async fn keep(&self) {
        let mut pause = Duration::from_millis(100);
        loop {
            let ready = {
                let now = BootTime::now();
                let mut waiting = self.waiting();
                waiting.retain(|standby| self.is_good(standby, now));
                waiting.len()
            };
            if ready >= self.wanted {
                let _ = tokio::time::timeout(LOOK_EVERY, self.refill.notified()).await;
                continue;
            }
            match self.prepare().await {
                Ok((standby, _)) => {
                    let ready = {
                        let mut waiting = self.waiting();
                        waiting.push_back(standby);
                        waiting.len()
                    };
                    pause = Duration::from_millis(100);
                    tracing::info!(ready, wanted = self.wanted, "standby ready");
                }
                Err(error) => {
                    tracing::error!(%error, "no standby");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    /// Ends all standbys.
    pub fn close(&self) {
        self.waiting().clear();
    }
}
