//! What all connections of a supervisor share.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use duckblind_attestation::attester::Attester;
use duckblind_attestation::config::{ConfigLimits, Requesters, Timeouts};
use duckblind_protocol::frames::Refused;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::job_code::JobCode;
use ed25519_dalek::SigningKey;
use tokio::sync::{Semaphore, watch};

use crate::supervisor::epoch::Epochs;
use crate::supervisor::evidence::Turns;
use crate::supervisor::pool::Pool;

/// Permits of [`Shared::running`]: more than there can be connections.
pub const RUNNING: usize = 1 << 16;

/// How far a shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Jobs are taken.
    Serving,
    /// No new jobs; running ones may finish.
    Draining,
    /// Running jobs are cancelled.
    Cancelling,
}

/// One per supervisor.
pub struct Shared {
    /// Signs tickets, refusals, acceptances, receipts; one per boot, wiped when dropped.
    pub instance: SigningKey,
    /// KEM keys.
    pub epochs: Epochs,
    /// Warm processes.
    pub pool: Arc<Pool>,
    /// Places for jobs.
    pub slots: Arc<Semaphore>,
    /// One for each job until its receipt is out, its place in `slots` long free again.
    pub running: Arc<Semaphore>,
    /// Who is given evidence, and when.
    pub turns: Turns,
    /// Makes hardware reports.
    pub attester: Arc<dyn Attester>,
    /// Whether they come from a simulated platform.
    pub sim: bool,
    /// Canonical bytes of the attested configuration.
    pub config: Vec<u8>,
    /// Canonical bytes of the release manifest.
    pub release: Vec<u8>,
    /// Ceilings.
    pub limits: ConfigLimits,
    /// Patience.
    pub timeouts: Timeouts,
    /// Who may send jobs.
    pub requesters: Requesters,
    /// The directory of provider `local-fake`.
    pub storage: OwnedFd,
    /// How far a shutdown has come.
    pub phase: watch::Receiver<Phase>,
}

impl Shared {
    /// A signed no.
    pub fn refused(
        &self,
        enc: Option<Digest>,
        code: JobCode,
        retry_after_ms: Option<u32>,
    ) -> Refused {
        Refused::sign(&self.instance, enc, code, retry_after_ms)
    }

    /// Whether jobs are taken.
    pub fn is_serving(&self) -> bool {
        *self.phase.borrow() == Phase::Serving
    }
}
