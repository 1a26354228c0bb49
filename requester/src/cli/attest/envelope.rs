//! What an envelope carries besides the report, in plain words.

use std::fmt::Write as _;

use duckblind_attestation::config::EnclaveConfig;
use duckblind_attestation::evidence::Evidence;
use duckblind_attestation::release::ReleaseManifest;
use duckblind_protocol::cbor::DecodeError;
use duckblind_protocol::key_statement::{Challenge, KeyStatement};
use serde_json::{Value, json};

/// Evidence, decoded; nothing of it is verified.
pub(super) struct Inspected {
    evidence: Evidence,
    statement: KeyStatement,
    challenge: Challenge,
    config: EnclaveConfig,
    release: ReleaseManifest,
}

impl Inspected {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let evidence = Evidence::decode(bytes)?;
        Ok(Self {
            statement: KeyStatement::decode(&evidence.key_statement)?,
            challenge: Challenge::decode(&evidence.challenge)?,
            config: EnclaveConfig::decode(&evidence.config)?,
            release: ReleaseManifest::decode(&evidence.release)?,
            evidence,
        })
    }

    pub(super) fn value(&self) -> Value {
        let config = &self.config;
        json!({
            "tee": self.evidence.tee,
            "report_bytes": self.evidence.report.len(),
            "key_statement": {
                "digest": self.statement.digest(),
                "suite": self.statement.suite,
                "instance": self.statement.instance,
                "instance_key": self.statement.instance_key,
                "epoch": self.statement.epoch,
                "prev": self.statement.prev,
                "config": self.statement.config,
                "release": self.statement.release,
            },
            "challenge": {
                "nonce": self.challenge.nonce,
                "audience": self.challenge.audience,
            },
            "config": {
                "walls": config.walls.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "backend": config.backend.to_string(),
                "engine": config.engine,
                "egress": config.egress,
                "clock": config.clock.to_string(),
                "clock_source": config.clock_source,
                "limits": {
                    "max_jobs": config.limits.max_jobs,
                    "standbys": config.limits.standbys,
                    "wall_ms": config.limits.wall_ms,
                    "memory_bytes": config.limits.memory_bytes,
                    "result_bytes": config.limits.result_bytes,
                    "threads": config.limits.threads,
                },
                "timeouts": {
                    "ticket_ms": config.timeouts.ticket_ms,
                    "expiry_ms": config.timeouts.expiry_ms,
                    "keepalive_ms": config.timeouts.keepalive_ms,
                    "progress_ms": config.timeouts.progress_ms,
                    "epoch_ms": config.timeouts.epoch_ms,
                    "drain_ms": config.timeouts.drain_ms,
                    "standby_ms": config.timeouts.standby_ms,
                },
            },
            "release": self.release,
        })
    }

    pub(super) fn text(&self) -> String {
        let (statement, config, release) = (&self.statement, &self.config, &self.release);
        let walls: Vec<_> = config.walls.iter().map(ToString::to_string).collect();
        let rows: [(&str, String); 16] = [
            ("platform", self.evidence.tee.to_string()),
            ("report", format!("{} bytes", self.evidence.report.len())),
            ("instance", statement.instance.to_string()),
            ("instance key", statement.instance_key.to_string()),
            ("epoch", statement.epoch.to_string()),
            ("key statement", statement.digest().to_string()),
            ("sealing suite", statement.suite.to_string()),
            ("nonce", self.challenge.nonce.to_string()),
            ("audience", self.challenge.audience.to_string()),
            ("walls", walls.join(", ")),
            ("engine", config.engine.clone()),
            ("may dial", none_or(&config.egress)),
            (
                "clock",
                format!("{} on {}", config.clock, config.clock_source),
            ),
            ("enclave binary", format!("sha256 {}", release.binary)),
            ("source commit", release.commit.clone()),
            ("compiler", release.rustc.clone()),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            let _ = writeln!(text, "{name:15} {value}");
        }
        text
    }
}

fn none_or(list: &[String]) -> String {
    if list.is_empty() {
        "nothing".into()
    } else {
        list.join(", ")
    }
}
