//! Keeps a watch connection to the enclave and tells the rest of the agent what it learns.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::enclave_link::EnclaveLink;
use crate::error::HostError;
use crate::metrics::Metrics;

/// Longest wait before the enclave is dialled again.
const LONGEST: Duration = Duration::from_secs(5);

/// What is known of the enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the watch connection stands and a note has come.
    pub up: bool,
    /// Grows with every note, so that a restarted enclave with the same epoch number counts as
    /// new.
    pub notes: u64,
}

/// Watches until it is dropped.
pub async fn watch(link: EnclaveLink, metrics: Arc<Metrics>, seen: watch::Sender<Seen>) {
    let mut backoff = Backoff::up_to(LONGEST);
    loop {
        let ended = listen(&link, &metrics, &seen, &mut backoff).await;
        metrics.enclave_up.set(0);
        let was_up = seen.borrow().up;
        seen.send_modify(|seen| seen.up = false);
        match ended {
            Ok(()) => tracing::warn!("the enclave closed the watch connection"),
            Err(error) if was_up => tracing::warn!(%error, "the enclave is gone"),
            Err(error) => tracing::debug!(%error, "the enclave is still away"),
        }
        tokio::time::sleep(backoff.failed()).await;
    }
}

async fn listen(
    link: &EnclaveLink,
    metrics: &Metrics,
    seen: &watch::Sender<Seen>,
    backoff: &mut Backoff,
) -> Result<(), HostError> {
    let mut notes = link.watch().await?;
    while let Some(note) = notes.next().await? {
        backoff.reset();
        metrics.enclave_up.set(1);
        metrics
            .epoch
            .set(i64::try_from(note.epoch).unwrap_or(i64::MAX));
        tracing::info!(
            epoch = note.epoch,
            remaining_ms = note.remaining_ms,
            "enclave epoch"
        );
        seen.send_modify(|seen| {
            seen.up = true;
            seen.notes += 1;
        });
    }
    Ok(())
}
