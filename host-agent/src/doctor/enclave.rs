//! Whether the enclave answers.

use std::time::Duration;

use tokio::time::timeout;

use super::finding::Finding;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;

const CHECK: &str = "enclave";
/// How long the enclave may take to say its epoch.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn examine(config: &Config, link: &EnclaveLink) -> Finding {
    let told = timeout(PATIENCE, async {
        let mut watch = link.watch().await?;
        watch.next().await
    });
    match told.await {
        Ok(Ok(Some(note))) => Finding::pass(
            CHECK,
            format!(
                "{} answers: epoch {}, {} s left",
                config.enclave,
                note.epoch,
                note.remaining_ms / 1000
            ),
        ),
        Ok(Err(error)) => Finding::failed(CHECK, &error, "compare the two programs' releases"),
        Ok(Ok(None)) | Err(_) => Finding::fail(
            CHECK,
            format!("{} takes connections but does not answer", config.enclave),
            "is the process behind it duckblind-enclave, and not draining?",
        ),
    }
}
