//! Whether the verifier answers, and what its clock says.

use std::sync::Arc;

use super::finding::Finding;
use crate::config::Config;
use crate::error::HostError;
use crate::node_key::NodeKey;
use crate::verifier_client::VerifierClient;

const CHECK: &str = "verifier";

/// The finding, and the `Date` header of the answer.
pub(super) async fn examine(config: &Config, key: Option<NodeKey>) -> (Finding, Option<String>) {
    let Some(key) = key else {
        return (Finding::skip(CHECK, "no node key"), None);
    };
    match health(config, key).await {
        Ok(date) => {
            let detail = format!("{} answers", config.verifier);
            (Finding::pass(CHECK, detail), date)
        }
        Err(error) => {
            let hint = "is duckblind-verifier behind `verifier`, and what does its log say?";
            (Finding::failed(CHECK, &error, hint), None)
        }
    }
}

async fn health(config: &Config, key: NodeKey) -> Result<Option<String>, HostError> {
    let client = VerifierClient::new(
        config.verifier.clone(),
        config.verifier_ca.as_deref(),
        Arc::new(key),
        config.timeouts.verifier,
    )?;
    client.health().await
}
