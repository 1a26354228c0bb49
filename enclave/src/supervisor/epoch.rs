//! Epochs: one KEM key each, with the ids of the jobs that it has opened. Each opens jobs until the
//! epoch after it ends, for two epochs in all; only the current one is attested. Key and job ids go
//! together, so no job runs twice. Tickets are those of the boot: each is taken out of the one
//! table by the first job that bears it, whichever key that is sealed to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use duckblind_protocol::ids::{Digest, InstanceId, PublicKey, RandomError};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::key_statement::{KeyStatement, Suite, Tee, VERSION};
use duckblind_protocol::open::{OpenedJob, open_order};
use duckblind_protocol::order::Order;
use duckblind_protocol::sealed_job::SealedJob;
use tokio::sync::watch;

use crate::clock::{Alarm, BootTime};
use crate::supervisor::replay::ReplaySet;
use crate::supervisor::tickets::Tickets;

/// What all epochs of one boot say alike.
pub struct Identity {
    /// Kind of platform.
    pub tee: Tee,
    /// Signs for this boot.
    pub instance_key: PublicKey,
    /// This boot.
    pub instance: InstanceId,
    /// Digest of the attested configuration.
    pub config: Digest,
    /// Digest of the release manifest.
    pub release: Digest,
}

/// What may be told of an epoch. Whoever holds it keeps no secret alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Canonical bytes of its key statement.
    pub statement: Arc<[u8]>,
    /// SHA-256 of them.
    pub digest: Digest,
    /// Counts from 0.
    pub number: u64,
    /// When the next one is due; its key opens jobs for one epoch more.
    pub ends: BootTime,
}

/// One epoch's secrets, wiped when it is dropped. Nothing but [`Living`] holds one.
struct Epoch {
    secret: KemSecret,
    note: Note,
    /// When its key opens nothing any more, at the latest.
    gone: BootTime,
    /// The jobs that it has opened and that had a ticket.
    seen: Mutex<ReplaySet>,
}

impl Epoch {
    /// Whether new jobs should be sealed to it.
    fn is_current(&self, now: BootTime) -> bool {
        now < self.note.ends && !lock(&self.seen).is_full()
    }

    /// Uses up the job's id and its ticket, both or neither; gives the time of the ticket's issue.
    fn spend(
        &self,
        tickets: &Mutex<Tickets>,
        order: &Order,
        now: BootTime,
    ) -> Result<BootTime, JobCode> {
        let mut seen = lock(&self.seen);
        if seen.contains(&order.job) {
            return Err(JobCode::Replayed);
        }
        if seen.is_full() {
            return Err(JobCode::StaleKey);
        }
        let issued = lock(tickets).take(&order.ticket, now)?;
        seen.insert(&order.job);
        Ok(issued)
    }
}

/// What an enclave has until it is closed. The epochs are boxed: moving one would leave copies of
/// its key behind.
struct Living {
    /// None only if it is gone and no next one could be made.
    current: Option<Box<Epoch>>,
    previous: Option<Box<Epoch>>,
    tickets: Mutex<Tickets>,
}

impl Living {
    /// When there is something to do next; none if there is now.
    fn next_change(&self, now: BootTime) -> Option<BootTime> {
        let current = self.current.as_ref().filter(|e| e.is_current(now))?;
        let ends = current.note.ends;
        let next = self.previous.as_ref().map_or(ends, |e| e.gone.min(ends));
        (now < next).then_some(next)
    }

    fn drop_gone(&mut self, now: BootTime) {
        self.previous.take_if(|epoch| epoch.gone <= now);
        self.current.take_if(|epoch| epoch.gone <= now);
    }

    fn with_key(&self, statement: &Digest, now: BootTime) -> Option<&Epoch> {
        let mut epochs = self.current.iter().chain(&self.previous);
        epochs
            .find(|epoch| epoch.note.digest == *statement && now < epoch.gone)
            .map(|epoch| &**epoch)
    }
}

/// Why there is no epoch.
#[derive(Debug, thiserror::Error)]
pub enum NoEpoch {
    /// The enclave has wiped its keys for good.
    #[error("the keys are gone")]
    Closed,
    /// No randomness for the next key.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl NoEpoch {
    /// As a requester is told.
    pub const fn code(&self) -> JobCode {
        match self {
            Self::Closed => JobCode::Draining,
            Self::Random(_) => JobCode::Internal,
        }
    }
}

/// All epochs of one boot: the current one and, most of the time, the one before it.
pub struct Epochs {
    identity: Identity,
    epoch_ms: u64,
    living: RwLock<Option<Living>>,
    notes: watch::Sender<Note>,
}

impl Epochs {
    /// Begins with epoch 0.
    pub fn begin(
        identity: Identity,
        epoch_ms: u32,
        ticket_ms: u32,
        now: BootTime,
    ) -> Result<Self, RandomError> {
        let epoch_ms = epoch_ms.into();
        let first = make(&identity, None, epoch_ms, now)?;
        let notes = watch::Sender::new(first.note.clone());
        Ok(Self {
            identity,
            epoch_ms,
            living: RwLock::new(Some(Living {
                current: Some(first),
                previous: None,
                tickets: Mutex::new(Tickets::new(ticket_ms)),
            })),
            notes,
        })
    }

    /// The epoch of this moment; begins it if it is due.
    pub fn current(&self, now: BootTime) -> Result<Note, NoEpoch> {
        self.turn(now)?;
        Ok(self.notes.borrow().clone())
    }

    /// Opens a job that is sealed to the current key or the one before, and uses up its id and its
    /// ticket. Gives the time of the ticket's issue, too.
    pub fn open(
        &self,
        sealed: &SealedJob,
        now: BootTime,
    ) -> Result<(OpenedJob, BootTime), JobCode> {
        self.turn(now).map_err(|error| error.code())?;
        // Held to the end: no key is wiped, and none outlives its time, while it is being used.
        let living = self.read();
        let living = living.as_ref().ok_or(JobCode::Draining)?;
        let epoch = living
            .with_key(&sealed.key_statement, now)
            .ok_or(JobCode::StaleKey)?;
        let opened = open_order(&epoch.secret, &epoch.note.digest, sealed)
            .map_err(|_| JobCode::OrderRefused)?;
        let issued = epoch.spend(&living.tickets, &opened.order, now)?;
        Ok((opened, issued))
    }

    /// The tickets of this boot; none if it was closed.
    pub fn with_tickets<T>(&self, act: impl FnOnce(&mut Tickets) -> T) -> Option<T> {
        let living = self.read();
        living
            .as_ref()
            .map(|living| act(&mut lock(&living.tickets)))
    }

    /// Told of every epoch.
    pub fn watch(&self) -> watch::Receiver<Note> {
        self.notes.subscribe()
    }

    /// Begins each epoch and wipes each key on time, for as long as there are any.
    pub async fn keep(&self) -> std::io::Result<()> {
        let alarm = Alarm::new()?;
        loop {
            let now = BootTime::now();
            let wake = match self.turn(now) {
                Ok(next) => next,
                Err(NoEpoch::Closed) => return Ok(()),
                Err(NoEpoch::Random(error)) => {
                    // Nothing opens jobs meanwhile.
                    tracing::error!(%error, "no key for the next epoch");
                    now.plus(1000)
                }
            };
            alarm.until(wake).await?;
        }
    }

    /// Wipes the keys, the job ids and the tickets for good.
    pub fn close(&self) {
        self.write().take();
    }

    /// Does what is due; says when the next thing is.
    fn turn(&self, now: BootTime) -> Result<BootTime, NoEpoch> {
        let next = self.read().as_ref().map(|living| living.next_change(now));
        match next.ok_or(NoEpoch::Closed)? {
            Some(next) => Ok(next),
            None => self.rotate(now),
        }
    }

    fn rotate(&self, now: BootTime) -> Result<BootTime, NoEpoch> {
        let mut living = self.write();
        let living = living.as_mut().ok_or(NoEpoch::Closed)?;
        living.drop_gone(now);
        if let Some(next) = living.next_change(now) {
            return Ok(next);
        }
        let before = self.notes.borrow().clone();
        let epoch = make(&self.identity, Some(&before), self.epoch_ms, now)?;
        let note = epoch.note.clone();
        living.previous = living.current.replace(epoch);
        tracing::info!(epoch = note.number, key_statement = %note.digest, "epoch begins");
        let ends = note.ends;
        self.notes.send_replace(note);
        Ok(living.next_change(now).unwrap_or(ends))
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Living>> {
        self.living.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Living>> {
        self.living.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No holder of these locks leaves anything half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make(
    identity: &Identity,
    before: Option<&Note>,
    epoch_ms: u64,
    now: BootTime,
) -> Result<Box<Epoch>, RandomError> {
    let secret = KemSecret::generate()?;
    let number = before.map_or(0, |before| before.number.saturating_add(1));
    let statement = KeyStatement {
        v: VERSION,
        tee: identity.tee,
        suite: Suite::XWingHkdfSha256Aes256Gcm,
        kem_key: secret.public_key().to_vec(),
        instance_key: identity.instance_key,
        instance: identity.instance,
        epoch: number,
        config: identity.config,
        release: identity.release,
        prev: before.map(|before| before.digest),
    };
    let statement = statement.encode();
    let ends = now.plus(epoch_ms);
    Ok(Box::new(Epoch {
        secret,
        note: Note {
            digest: Digest::of(&statement),
            statement: statement.into(),
            number,
            ends,
        },
        gone: ends.plus(epoch_ms),
        seen: Mutex::new(ReplaySet::default()),
    }))
}

#[cfg(test)]
#[path = "epoch_tests.rs"]
mod tests;
