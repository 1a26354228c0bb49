//! Evidence: an answer to a challenge, never without one.

use std::sync::Arc;

use duckblind_attestation::attester::RawEvidence;
use duckblind_attestation::evidence::{self, Evidence};
use duckblind_protocol::frames::ChallengeRequest;
use duckblind_protocol::key_statement::{Challenge, combined_nonce, report_data};

use crate::error::EnclaveError;
use crate::supervisor::epoch::Epoch;
use crate::supervisor::shared::Shared;

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
    };
    Ok(evidence.encode())
}
