//! The node's standing with the verifier: enrolled, heard of, attested.
//!
//! One loop does it all. Whatever fails is tried again later, with growing pauses; the relay never
//! waits for it.

use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::frames::ChallengeRequest;
use duckblind_protocol::handshake::VERSION;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::order::Class;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::clock::unix_now;
use crate::enclave_link::EnclaveLink;
use crate::enclave_watch::Seen;
use crate::error::HostError;
use crate::metrics::Metrics;
use crate::verifier_client::VerifierClient;

/// Longest pause after failures.
const LONGEST: Duration = Duration::from_mins(1);
/// Shortest and longest time between two attestations that went well.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_hours(1);
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the loop works with.
pub struct AttestLoop {
    /// The verifier.
    pub client: VerifierClient,
    /// The enclave.
    pub link: EnclaveLink,
    /// What challenges name.
    pub audience: Digest,
    /// `host:port` for the registry.
    pub address: String,
    /// Class for the registry.
    pub class: Class,
    /// The operator's enrolment token.
    pub token: Option<Zeroizing<String>>,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// The enclave's time to answer a challenge.
    pub evidence: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl AttestLoop {
    /// Works until `stop` turns true, then leaves the registry.
    pub async fn run(self, mut seen: watch::Receiver<Seen>, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.work(&mut seen) => {}
        }
        match timeout(FAREWELL, self.client.leave()).await {
            Ok(Ok(())) => tracing::info!("left the registry"),
            // The registry forgets us when the heartbeats end.
            Ok(Err(error)) => tracing::debug!(%error, "not signed off"),
            Err(_) => tracing::debug!("not signed off: no answer"),
        }
    }

    async fn work(&self, seen: &mut watch::Receiver<Seen>) {
        loop {
            self.enrol().await;
            self.stay(seen).await;
        }
    }

    async fn enrol(&self) {
        let mut backoff = Backoff::up_to(LONGEST);
        let token = self.token.as_ref().map(|token| token.as_str());
        while let Err(error) = self.client.enrol(&self.address, self.class, token).await {
            let pause = backoff.failed();
            self.complain("enrolment", &error, pause);
            tokio::time::sleep(pause).await;
        }
        tracing::info!(address = self.address, class = %self.class, "enrolled");
    }

    /// Heartbeats and attestations; returns when the registry no longer knows this node.
    async fn stay(&self, seen: &mut watch::Receiver<Seen>) {
        let mut backoff = Backoff::up_to(LONGEST);
        let mut attest_at = Instant::now();
        let mut heartbeat_at = Instant::now() + self.heartbeat;
        loop {
            let up = seen.borrow_and_update().up;
            tokio::select! {
                changed = seen.changed() => {
                    if changed.is_err() {
                        // The watcher is gone: the agent is ending.
                        return std::future::pending().await;
                    }
                    // Also a new epoch's key has no evidence yet.
                    backoff.reset();
                    attest_at = Instant::now();
                }
                () = sleep_until(attest_at), if up => {
                    let pause = match self.attest().await {
                        Ok(pause) => {
                            backoff.reset();
                            pause
                        }
                        Err(error) if unknown(&error) => return,
                        Err(error) => {
                            self.metrics.attestations_failed.add(1);
                            let pause = backoff.failed();
                            self.complain("attestation", &error, pause);
                            pause
                        }
                    };
                    attest_at = Instant::now() + pause;
                }
                () = sleep_until(heartbeat_at) => {
                    match self.client.heartbeat().await {
                        Ok(()) => {}
                        Err(error) if unknown(&error) => return,
                        Err(error) => self.complain("heartbeat", &error, self.heartbeat),
                    }
                    heartbeat_at = Instant::now() + self.heartbeat;
                }
            }
        }
    }

    /// One attestation; when the next is due.
    async fn attest(&self) -> Result<Duration, HostError> {
        let challenge = self.client.challenge().await?;
        let request = ChallengeRequest {
            v: VERSION,
            verifier_nonce: challenge.verifier_nonce,
            requester_nonce: None,
            audience: self.audience,
        };
        let evidence = self.link.evidence(&request, self.evidence).await?;
        let attested = self.client.attest(challenge.id, &evidence).await?;
        let now = unix_now();
        let pause = half_life(now, attested.until)?;
        self.metrics.attestations.add(1);
        self.metrics.attested_at.set(now);
        self.metrics.attested_until.set(attested.until);
        tracing::info!(until = attested.until, "attested");
        Ok(pause)
    }

    fn complain(&self, what: &str, error: &HostError, pause: Duration) {
        use duckblind_protocol::coded::Coded as _;
        if matches!(
            error,
            HostError::VerifierDown(_) | HostError::VerifierMalformed(_)
        ) {
            self.metrics.verifier_errors.add(1);
        }
        let again_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(code = error.code(), %error, again_ms, "{what} failed");
    }
}

/// Half of what is left of a result that ends at `until`, both in Unix seconds.
fn half_life(now: i64, until: i64) -> Result<Duration, HostError> {
    let left = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    if left == 0 {
        return Err(HostError::VerifierMalformed(
            "the result has ended already; compare the clocks".to_owned(),
        ));
    }
    Ok((Duration::from_secs(left) / 2).clamp(SOONEST, LATEST))
}

/// What a verifier says that has no such path at all: an older one.
const NO_SUCH_PATH: &str = "DB-VER-047";

/// Whether the registry has forgotten this node.
fn unknown(error: &HostError) -> bool {
    matches!(error, HostError::VerifierRefused { status: 404, code, .. } if code != NO_SUCH_PATH)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_next_attestation_is_due_at_half_of_the_life() {
        assert_eq!(half_life(1000, 1600).unwrap(), Duration::from_mins(5));
        assert_eq!(half_life(1000, 1001).unwrap(), SOONEST);
        assert_eq!(half_life(0, i64::MAX).unwrap(), LATEST);
        assert!(half_life(1000, 1000).is_err());
        assert!(half_life(i64::MAX, i64::MIN).is_err());
    }

    #[test]
    fn an_older_verifier_is_not_one_that_forgot() {
        let said = |code: &str| HostError::VerifierRefused {
            method: "POST",
            path: "/v1/nodes/00/challenges".into(),
            status: 404,
            code: code.into(),
            message: String::new(),
        };
        assert!(unknown(&said("DB-VER-040")));
        assert!(!unknown(&said(NO_SUCH_PATH)));
    }
}
