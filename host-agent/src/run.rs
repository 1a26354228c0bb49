//! The daemon: everything wired together, until a signal ends it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::attest_loop::AttestLoop;
use crate::challenge_rate::ChallengeRate;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;
use crate::enclave_watch::{self, Seen};
use crate::error::HostError;
use crate::files;
use crate::front::Front;
use crate::metrics::Metrics;
use crate::metrics_page::MetricsPage;
use crate::node_key::NodeKey;
use crate::relay::Relay;
use crate::usage_log::UsageLog;
use crate::verifier_client::VerifierClient;

/// Runs the host agent until `end` resolves, then drains. `ready_file` is written when the sockets
/// are open and removed at the end.
pub async fn run(
    config: Config,
    ready_file: Option<PathBuf>,
    end: impl Future<Output = ()>,
) -> Result<(), HostError> {
    let key = Arc::new(NodeKey::load(&config.node_key)?);
    let metrics = Arc::new(Metrics::default());
    let link = EnclaveLink::new(config.enclave.clone(), config.timeouts.enclave_connect);
    let (stop, stopped) = watch::channel(false);

    let page = MetricsPage::bind(config.metrics).await?;
    let usage = match &config.usage_log {
        Some(path) => Some(Arc::new(UsageLog::open(path, config.usage_log_max_bytes)?)),
        None => None,
    };
    let relay = Relay {
        link: link.clone(),
        timeouts: config.timeouts,
        challenges: ChallengeRate::new(
            config.limits.challenges_per_minute_per_peer,
            config.limits.challenges_per_minute_per_address,
        ),
        metrics: Arc::clone(&metrics),
        usage,
    };
    let front = Front::bind(&config, &key, relay, stopped.clone())?;
    let agent = AttestLoop {
        client: VerifierClient::new(
            config.verifier.clone(),
            config.verifier_ca.as_deref(),
            Arc::clone(&key),
            config.timeouts.verifier,
        )?,
        link: link.clone(),
        audience: config.audience,
        address: advertised(&config, front.address())?,
        class: config.class,
        token: config.enrol_token_file.as_deref().map(token).transpose()?,
        heartbeat: config.timeouts.heartbeat,
        evidence: config.timeouts.evidence,
        metrics: Arc::clone(&metrics),
    };

    let ready = Ready::write(ready_file, &key, front.address(), page.address())?;
    tracing::info!(node = %key.node(), quic = %front.address(), metrics = %page.address(), "up");

    let (seen_sender, seen) = watch::channel(Seen::default());
    let watcher = tokio::spawn(enclave_watch::watch(
        link,
        Arc::clone(&metrics),
        seen_sender,
    ));
    let agent = tokio::spawn(agent.run(seen, stopped.clone()));
    let page = tokio::spawn(page.serve(metrics, stopped));
    let front = tokio::spawn(front.run());

    end.await;
    tracing::info!("draining");
    // The receivers live in the tasks; a task that has ended already needs no word.
    let _ = stop.send(true);
    let (_, _) = tokio::join!(front, agent);
    watcher.abort();
    page.abort();
    drop(ready);
    tracing::info!("ended");
    Ok(())
}

/// What requesters are told: the configured address, or the one listened on if it can be dialled.
fn advertised(config: &Config, listening: SocketAddr) -> Result<String, HostError> {
    match &config.advertise {
        Some(address) => Ok(address.clone()),
        None if listening.ip().is_unspecified() => Err(HostError::ConfigValue {
            key: "advertise",
            reason: format!("it is needed, because nobody can dial {listening}"),
        }),
        None => Ok(listening.to_string()),
    }
}

fn token(path: &Path) -> Result<Zeroizing<String>, HostError> {
    let bytes = files::read_secret(path, "the enrolment token")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| HostError::FileMalformed {
        what: "the enrolment token",
        path: path.to_owned(),
        expected: "one line of text",
    })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// The ready file, removed with this value.
struct Ready(Option<PathBuf>);

impl Ready {
    fn write(
        path: Option<PathBuf>,
        key: &NodeKey,
        quic: SocketAddr,
        metrics: SocketAddr,
    ) -> Result<Self, HostError> {
        if let Some(path) = &path {
            let text = serde_json::json!({
                "quic": quic.to_string(),
                "metrics": metrics.to_string(),
                "node": key.node().to_string(),
            });
            files::replace(path, format!("{text}\n").as_bytes())?;
        }
        Ok(Self(path))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
