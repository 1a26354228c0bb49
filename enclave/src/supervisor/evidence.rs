//! Evidence: an answer to a challenge, never without one.

use std::sync::Arc;

use duckblind_attestation::attester::RawEvidence;
use duckblind_attestation::evidence::{self, Evidence};
use duckblind_protocol::frames::ChallengeRequest;
use duckblind_protocol::key_statement::{Challenge, combined_nonce, report_data};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::EnclaveError;
use crate::supervisor::epoch::Epoch;
use crate::supervisor::shared::Shared;

/// Evidence in the making at a time.
const MAX_ATTESTING: usize = 4;
/// Challenges that wait for it, at most: those in front of one that is taken take little time.
const MAX_WAITING: usize = 12;

/// Who is given evidence, and when.
pub struct Turns {
    waiting: Semaphore,
    /// The host's own place, which no requester takes.
    hosts: Semaphore,
    attesting: Semaphore,
}

/// A place among those that evidence is made for; free again when dropped.
pub struct Turn<'a> {
    _waiting: SemaphorePermit<'a>,
    _attesting: SemaphorePermit<'a>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(MAX_ATTESTING + MAX_WAITING),
            hosts: Semaphore::new(1),
            attesting: Semaphore::new(MAX_ATTESTING),
        }
    }
}

impl Turns {
    /// A turn, after a short wait; none at all if too many wait already. A challenge without a
    /// requester's nonce is the host's own, which keeps the node listed: it has a place of its own.
    pub async fn take(&self, request: &ChallengeRequest) -> Option<Turn<'_>> {
        let places = match request.requester_nonce {
            Some(_) => &self.waiting,
            None => &self.hosts,
        };
        let waiting = places.try_acquire().ok()?;
        Some(Turn {
            _waiting: waiting,
            _attesting: self.attesting.acquire().await.ok()?,
        })
    }
}

/// A hardware report over the current key statement and this challenge, with all that it binds.
pub async fn answer(
    shared: &Shared,
    epoch: &Epoch,
    request: &ChallengeRequest,
) -> Result<Vec<u8>, EnclaveError> {
    let nonce = combined_nonce(&request.verifier_nonce, request.requester_nonce.as_ref());
    let challenge = Challenge::new(nonce, request.audience).encode();
    let data = report_data(&epoch.statement, &challenge);
    let attester = Arc::clone(&shared.attester);
    let tee = attester.tee();
    // A hardware report takes milliseconds, in a file system that blocks.
    let RawEvidence {
        report,
        endorsements,
        event_log,
    } = tokio::task::spawn_blocking(move || attester.attest(&data))
        .await
        .map_err(std::io::Error::other)?
        .map_err(|error| EnclaveError::Attest(Box::new(error)))?;
    let evidence = Evidence {
        v: evidence::VERSION,
        tee,
        report,
        key_statement: epoch.statement.clone(),
        challenge,
        config: shared.config.clone(),
        release: shared.release.clone(),
        endorsements,
<<<<<<< HEAD
        event_log: None,
=======
        event_log,
>>>>>>> wD
    };
    Ok(evidence.encode())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::{Digest, Nonce};
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn asked(requester_nonce: Option<Nonce>) -> ChallengeRequest {
        ChallengeRequest {
            v: duckblind_protocol::handshake::VERSION,
            verifier_nonce: Nonce::from_bytes([1; 32]),
            requester_nonce,
            audience: Digest::of(b"signer"),
        }
    }

    #[test]
    fn few_at_a_time_a_few_more_wait_and_the_rest_is_sent_away() {
        let turns = Turns::default();
        let (theirs, hosts) = (asked(Some(Nonce::from_bytes([2; 32]))), asked(None));
        let mut asked: Vec<_> = (0..=MAX_ATTESTING + MAX_WAITING)
            .map(|_| Box::pin(turns.take(&theirs)))
            .collect();
        let mut taken = Vec::new();
        let (mut waiting, mut away) = (0, 0);
        for one in &mut asked {
            match poll_once(one.as_mut()) {
                Poll::Ready(Some(turn)) => taken.push(turn),
                Poll::Ready(None) => away += 1,
                Poll::Pending => waiting += 1,
            }
        }
        assert_eq!(
            (taken.len(), waiting, away),
            (MAX_ATTESTING, MAX_WAITING, 1)
        );
        // The host still has its place, once.
        let mut host = Box::pin(turns.take(&hosts));
        assert!(poll_once(host.as_mut()).is_pending());
        let mut again = Box::pin(turns.take(&hosts));
        assert!(matches!(poll_once(again.as_mut()), Poll::Ready(None)));
        drop(host);

        taken.clear();
        let next = poll_once(asked.get_mut(MAX_ATTESTING).unwrap().as_mut());
        assert!(matches!(next, Poll::Ready(Some(_))));
        // Whoever gives up waiting leaves the place.
        drop((next, asked));
        assert_eq!(
            turns.waiting.available_permits(),
            MAX_ATTESTING + MAX_WAITING
        );
    }
}
