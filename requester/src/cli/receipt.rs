//! `duckblind receipt`: check what was kept of a job, without any network.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::failure::Failure;
use super::paths;
use super::ui::Ui;
use crate::clock;
use crate::receipt::SavedReceipt;

/// Check what was kept of a job.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ReceiptCommand {
    /// Judge a saved receipt again, offline, under your trust file
    Verify {
        /// Written by `duckblind run --receipt FILE`
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn receipt(
    ui: &Ui,
    trust: Option<&Path>,
    command: ReceiptCommand,
) -> Result<(), Failure> {
    let ReceiptCommand::Verify { file } = command;
    let trust = paths::trust(trust)?;
    let saved = SavedReceipt::load(&file)?;
    let verified = saved.verify(&trust)?;
    let receipt = &verified.receipt;
    let appraised = verified.judged.appraised();
    let value = json!({
        "schema": "duckblind/receipt/v1",
        "valid": true,
        "outcome": receipt.outcome.code(),
        "job": receipt.job,
        "order": receipt.order,
        "manifests": receipt.manifests,
        "chunks": receipt.chunks,
        "bytes": receipt.bytes,
        "transcript": receipt.transcript,
        "accepted_ms": receipt.accepted_ms,
        "ended_ms": receipt.ended_ms,
        "sim": receipt.sim,
        "instance": appraised.key_statement().instance,
        "measurement": appraised.measurement().to_string(),
        "policy": appraised.policy_id(),
        "appraised_at": verified.at,
        "time_proven": false,
        "logged": false,
    });
    ui.show(&value, || {
        let manifests: Vec<_> = receipt.manifests.iter().map(ToString::to_string).collect();
        [
            format!(
                "valid: job {} ended: {}",
                receipt.job,
                receipt.outcome.code()
            ),
            format!("  order       {}", receipt.order),
            format!(
                "  tables      {}",
                if manifests.is_empty() {
                    "none".into()
                } else {
                    manifests.join(", ")
                }
            ),
            format!(
                "  result      {} sealed chunks, {} bytes, transcript {}",
                receipt.chunks, receipt.bytes, receipt.transcript
            ),
            format!("  time taken  {} ms after its ticket", receipt.ended_ms),
            format!(
                "  enclave     instance {}",
                appraised.key_statement().instance
            ),
            format!("  measurement {}", appraised.measurement()),
            format!("  policy      {}", appraised.policy_id()),
            format!(
                "appraised at {} (the attestation result's own time)",
                clock::utc(verified.at)
            ),
            "time not proven: no log".into(),
        ]
        .join("\n")
    });
    if receipt.sim {
        ui.warning("SIMULATED PLATFORM: this receipt proves nothing about real hardware");
    }
    Ok(())
}
