//! Epochs: one KEM key each, with its own tickets and its own replay set. They do not overlap:
//! when one ends, its key, its tickets and its job ids are gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use duckblind_protocol::ids::{Digest, InstanceId, PublicKey, RandomError};
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::key_statement::{KeyStatement, Suite, Tee, VERSION};
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

/// What an epoch has given out and seen.
pub struct Books {
    /// Outstanding tickets.
    pub tickets: Tickets,
    /// Jobs that have authenticated.
    pub seen: ReplaySet,
}

/// One epoch. Its secrets are wiped when the last user drops it.
pub struct Epoch {
    /// Opens jobs.
    pub secret: KemSecret,
    /// Canonical bytes of its key statement.
    pub statement: Vec<u8>,
    /// SHA-256 of them.
    pub digest: Digest,
    /// Counts from 0.
    pub number: u64,
    /// When it is over.
    pub ends: BootTime,
    books: Mutex<Books>,
}

impl Epoch {
    /// Tickets and job ids.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        // No holder of this lock leaves the books half written.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What watchers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Digest of the key statement.
    pub digest: Digest,
    /// The epoch's number.
    pub number: u64,
    /// When it is over.
    pub ends: BootTime,
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

/// All epochs of one boot, one at a time.
pub struct Epochs {
    identity: Identity,
    epoch_ms: u64,
    ticket_ms: u32,
    current: RwLock<Option<Arc<Epoch>>>,
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
        let first = make(&identity, 0, None, now.plus(epoch_ms.into()), ticket_ms)?;
        let notes = watch::Sender::new(note(&first));
        Ok(Self {
            identity,
            epoch_ms: epoch_ms.into(),
            ticket_ms,
            current: RwLock::new(Some(Arc::new(first))),
            notes,
        })
    }

    /// The epoch of this moment; begins the next one if it is due.
    pub fn current(&self, now: BootTime) -> Result<Arc<Epoch>, NoEpoch> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let epoch = current.as_ref().ok_or(NoEpoch::Closed)?;
        if now < epoch.ends && !epoch.books().seen.is_full() {
            return Ok(Arc::clone(epoch));
        }
        drop(current);
        self.rotate(now)
    }

    fn rotate(&self, now: BootTime) -> Result<Arc<Epoch>, NoEpoch> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.as_ref().ok_or(NoEpoch::Closed)?;
        if now < old.ends && !old.books().seen.is_full() {
            return Ok(Arc::clone(old));
        }
        let ends = now.plus(self.epoch_ms);
        let number = old.number.saturating_add(1);
        let next = make(
            &self.identity,
            number,
            Some(old.digest),
            ends,
            self.ticket_ms,
        )?;
        let next = Arc::new(next);
        *current = Some(Arc::clone(&next));
        self.notes.send_replace(note(&next));
        tracing::info!(epoch = number, key_statement = %next.digest, "epoch begins");
        Ok(next)
    }

    /// The books of the present epoch, whether it is due to end or not; none if it was closed.
    pub fn with_books<T>(&self, act: impl FnOnce(&mut Books) -> T) -> Option<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|epoch| act(&mut epoch.books()))
    }

    /// Told of every epoch.
    pub fn watch(&self) -> watch::Receiver<Note> {
        self.notes.subscribe()
    }

    /// Begins each epoch on time, for as long as there are any.
    pub async fn keep(&self) -> std::io::Result<()> {
        let alarm = Alarm::new()?;
        loop {
            let wake = match self.current(BootTime::now()) {
                Ok(epoch) => epoch.ends,
                Err(NoEpoch::Closed) => return Ok(()),
                Err(NoEpoch::Random(error)) => {
                    // Nothing opens jobs meanwhile: the old key is past its end.
                    tracing::error!(%error, "no key for the next epoch");
                    BootTime::now().plus(1000)
                }
            };
            alarm.until(wake).await?;
        }
    }

    /// Drops the keys for good.
    pub fn close(&self) {
        self.current
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

fn note(epoch: &Epoch) -> Note {
    Note {
        digest: epoch.digest,
        number: epoch.number,
        ends: epoch.ends,
    }
}

fn make(
    identity: &Identity,
    number: u64,
    prev: Option<Digest>,
    ends: BootTime,
    ticket_ms: u32,
) -> Result<Epoch, RandomError> {
    let secret = KemSecret::generate()?;
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
        prev,
    };
    let statement = statement.encode();
    Ok(Epoch {
        secret,
        digest: Digest::of(&statement),
        statement,
        number,
        ends,
        books: Mutex::new(Books {
            tickets: Tickets::new(ticket_ms),
            seen: ReplaySet::default(),
        }),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::JobId;
    use duckblind_protocol::job_code::JobCode;

    const T0: BootTime = BootTime::from_millis(5_000);

    fn epochs() -> Epochs {
        let identity = Identity {
            tee: Tee::SevSnp,
            instance_key: PublicKey::from_bytes([1; 32]),
            instance: InstanceId::from_bytes([2; 32]),
            config: Digest::of(b"config"),
            release: Digest::of(b"release"),
        };
        Epochs::begin(identity, 1000, 60_000, T0).unwrap()
    }

    #[test]
    fn statements_are_chained_and_keys_differ() {
        let epochs = epochs();
        let first = epochs.current(T0.plus(999)).unwrap();
        let second = epochs.current(T0.plus(1000)).unwrap();
        assert_ne!(first.digest, second.digest);
        let statement = KeyStatement::decode(&second.statement).unwrap();
        assert_eq!((statement.epoch, statement.prev), (1, Some(first.digest)));
        assert_ne!(first.secret.public_key(), second.secret.public_key());
        assert_eq!(epochs.watch().borrow().digest, second.digest);
    }

    #[test]
    fn tickets_and_job_ids_end_with_their_epoch() {
        let epochs = epochs();
        let job = JobId::from_bytes([3; 16]);
        let first = epochs.current(T0).unwrap();
        let ticket = first.books().tickets.issue(T0).unwrap();
        assert!(first.books().seen.insert(&job));
        let later = T0.plus(1000);
        let second = epochs.current(later).unwrap();
        assert_eq!(
            second.books().tickets.take(&ticket, later),
            Err(JobCode::TicketUnknown)
        );
        assert!(!second.books().seen.contains(&job));
    }

    #[test]
    fn closed_for_good() {
        let epochs = epochs();
        epochs.close();
        assert!(matches!(epochs.current(T0), Err(NoEpoch::Closed)));
        assert!(matches!(
            epochs.current(T0.plus(9999)),
            Err(NoEpoch::Closed)
        ));
    }

    #[tokio::test]
    async fn kept_on_time_without_anybody_asking() {
        let identity = epochs().identity;
        let epochs = Epochs::begin(identity, 30, 60_000, BootTime::now()).unwrap();
        let mut watch = epochs.watch();
        tokio::select! {
            _ = epochs.keep() => {}
            note = watch.wait_for(|note| note.number == 2) => assert!(note.is_ok()),
        }
    }
}
