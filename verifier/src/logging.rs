//! Structured logs to stderr. No request body, token, nonce or evidence is ever logged: events
//! carry codes, ids, counts and times.

use tracing_subscriber::EnvFilter;

use crate::error::VerifierError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for this process. `filter` is a `tracing` directive such as `info`.
pub fn start(format: LogFormat, filter: &str) -> Result<(), VerifierError> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| VerifierError::LogFilter(error.to_string()))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| VerifierError::Runtime(error.to_string()))
}
