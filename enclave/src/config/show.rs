//! The configuration in force, for people: each value, and whether the file says it.

use std::fmt::Write as _;
use std::path::Path;

use duckblind_attestation::config::{Requesters, Spill};

use crate::config::{Config, read};
use crate::error::EnclaveError;

/// One line a value, as it would stand in the file; with `origin`, where it comes from.
pub fn show(path: &Path, origin: bool) -> Result<String, EnclaveError> {
    let text = read(path)?;
    let config = Config::parse(&text)?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|e| EnclaveError::ConfigParse(e.to_string()))?;
    let mut lines = String::new();
    for (name, value) in values(&config) {
        let _ = write!(lines, "{name} = {value}");
        if origin {
            let origin = if in_file(&table, name) {
                "file"
            } else {
                "default"
            };
            let _ = write!(lines, "  # {origin}");
        }
        lines.push('\n');
    }
    Ok(lines)
}

fn in_file(table: &toml::Table, name: &str) -> bool {
    match name.split_once('.') {
        None => table.contains_key(name),
        Some((section, key)) => table
            .get(section)
            .and_then(toml::Value::as_table)
            .is_some_and(|section| section.contains_key(key)),
    }
}

fn values(config: &Config) -> Vec<(&'static str, String)> {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let path = |path: &Path| quoted(path.display().to_string());
    let limits = &config.limits;
    let timeouts = &config.timeouts;
    let requesters = match &config.requesters {
        Requesters::Any => quoted("any".into()),
        Requesters::Keys(keys) => {
            let keys = keys.iter().map(|key| toml::Value::String(key.to_string()));
            toml::Value::Array(keys.collect()).to_string()
        }
    };
    let mut values = vec![
        ("listen", quoted(config.listen.to_string())),
        ("release", path(&config.release)),
        ("requesters", requesters),
        ("storage.provider", quoted("local-fake".into())),
        ("storage.root", path(&config.storage_root)),
        ("limits.max_jobs", limits.max_jobs.to_string()),
        ("limits.standbys", limits.standbys.to_string()),
        ("limits.wall_ms", limits.wall_ms.to_string()),
        ("limits.memory_bytes", limits.memory_bytes.to_string()),
        ("limits.result_bytes", limits.result_bytes.to_string()),
        ("limits.threads", limits.threads.to_string()),
        ("timeouts.ticket_ms", timeouts.ticket_ms.to_string()),
        ("timeouts.expiry_ms", timeouts.expiry_ms.to_string()),
        ("timeouts.keepalive_ms", timeouts.keepalive_ms.to_string()),
        ("timeouts.progress_ms", timeouts.progress_ms.to_string()),
        ("timeouts.epoch_ms", timeouts.epoch_ms.to_string()),
        ("timeouts.drain_ms", timeouts.drain_ms.to_string()),
        ("timeouts.standby_ms", timeouts.standby_ms.to_string()),
    ];
    match config.spill {
        Spill::Off => values.push(("spill.mode", quoted("off".into()))),
        Spill::Encrypted { max_bytes } => {
            values.push(("spill.mode", quoted("encrypted".into())));
            values.push(("spill.max_bytes", max_bytes.to_string()));
        }
    }
    if let Some(dir) = &config.spill_dir {
        values.push(("spill.dir", path(dir)));
    }
    if let Some(simulator) = &config.simulator {
        values.push(("simulator.dir", path(&simulator.dir)));
        let platform = simulator.platform.name().to_owned();
        values.push(("simulator.platform", quoted(platform)));
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_parses_to_the_same_and_says_where_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("enclave.toml");
        std::fs::write(
            &file,
            "listen = \"unix:/a/b\"\nrelease = \"/r\"\n[storage]\nprovider = \"local-fake\"\n\
             root = \"/s\"\n[limits]\nthreads = 3\n",
        )
        .unwrap();
        let shown = show(&file, true).unwrap();
        assert!(shown.contains("limits.threads = 3  # file"));
        assert!(shown.contains("limits.max_jobs = 4  # default"));
        // Dotted keys are TOML.
        let again = Config::parse(&shown).unwrap();
        assert_eq!(again.limits.threads, 3);
        assert_eq!(again.timeouts.ticket_ms, 60_000);
    }
}
