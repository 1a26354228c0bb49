//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::ids::UnixTime;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::appraisal::Judge;
use crate::clock::Clock;
use crate::config::{Config, Enrolment};
use crate::ear_key;
use crate::endorser::Endorser;
use crate::error::VerifierError;
use crate::metrics::Metrics;
use crate::net::rate::RateLimit;
use crate::store::Store;

/// The verifier between requests.
pub struct State {
    /// What is remembered.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
    /// What appraises and signs.
    pub judge: Judge,
    /// What looks up the vendors' documents.
    pub endorser: Option<Endorser>,
    /// The public keys of signed results.
    pub key_set: Value,
    /// Who may enrol.
    pub enrolment: Enrolment,
    /// A node silent for longer is not listed.
    pub node_silence: Duration,
    /// Counters.
    pub metrics: Metrics,
    /// Requests of each peer.
    pub rate: RateLimit,
    /// One for each appraisal at a time.
    pub turns: Arc<Semaphore>,
}

impl State {
    /// Opens the state file that `config` names.
    pub fn open(config: Config, clock: Clock) -> Result<Self, VerifierError> {
        let store = Store::open(&config.state)?;
        let key_set =
            ear_key::jwks(std::iter::once(config.ear_key.public()).chain(&config.retired_ear_keys));
        Ok(Self {
            store,
            clock,
            judge: Judge::new(config.ear_key, config.policies, config.ear_lifetime),
            endorser: config.endorser,
            key_set,
            enrolment: config.enrolment,
            node_silence: config.node_silence,
            metrics: Metrics::default(),
            rate: RateLimit::new(config.rate),
            turns: Arc::new(Semaphore::new(config.appraisals)),
        })
    }

    /// Nodes heard of since then are listed.
    pub fn alive_since(&self) -> UnixTime {
        let silence = i64::try_from(self.node_silence.as_secs()).unwrap_or(i64::MAX);
        UnixTime(self.clock.now().0.saturating_sub(silence))
    }
}
