//! `doctor`: is this machine fit to run the host agent? One line per check, a hint where it helps.

mod http_date;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::coded::Coded as _;
use serde::Serialize;
use tokio::time::timeout;

use crate::clock::unix_now;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;
use crate::error::HostError;
use crate::node_key::NodeKey;
use crate::verifier_client::VerifierClient;

/// More than this between two clocks, in seconds, is worth a word.
const SKEW_WARN: i64 = 5;
/// More than this, and results look expired or not yet valid.
const SKEW_FAIL: i64 = 60;
/// How long the enclave may take to say its epoch.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// It works, with a doubt.
    Warn,
    /// It cannot work.
    Fail,
    /// Not looked at, because something before it failed or there is nothing to look at.
    Skip,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn new(check: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            detail: detail.into(),
            hint: None,
        }
    }

    fn failed(check: &'static str, error: &HostError) -> Self {
        Self {
            check,
            outcome: Outcome::Fail,
            detail: format!("{}: {error}", error.code()),
            hint: error.hint(),
        }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Checks everything that can be checked without changing anything.
pub async fn examine(config: &Path) -> Vec<Finding> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(error) => {
            let mut report = vec![Finding::failed("config", &error)];
            report.extend(
                [
                    "node key",
                    "listen address",
                    "usage log",
                    "enclave",
                    "verifier",
                    "clock",
                ]
                .map(|check| Finding::new(check, Outcome::Skip, "no configuration")),
            );
            return report;
        }
    };
    let mut report = vec![Finding::new("config", Outcome::Pass, "it parses")];
    let key = match NodeKey::load(&config.node_key) {
        Ok(key) => {
            let detail = format!("node {}", key.node());
            report.push(Finding::new("node key", Outcome::Pass, detail));
            Some(key)
        }
        Err(error) => {
            report.push(Finding::failed("node key", &error));
            None
        }
    };
    report.push(listen_address(&config));
    report.push(usage_log(&config));
    report.push(enclave(&config).await);
    report.extend(verifier(&config, key).await);
    report
}

/// The findings that are failures, as an error.
pub fn verdict(report: &[Finding]) -> Result<(), HostError> {
    match report
        .iter()
        .filter(|each| each.outcome == Outcome::Fail)
        .count()
    {
        0 => Ok(()),
        failures => Err(HostError::Doctor(failures)),
    }
}

fn listen_address(config: &Config) -> Finding {
    const CHECK: &str = "listen address";
    match std::net::UdpSocket::bind(config.listen) {
        Ok(_) if config.listen.ip().is_unspecified() && config.advertise.is_none() => Finding::new(
            CHECK,
            Outcome::Fail,
            format!("nobody can dial {}", config.listen),
        )
        .hint("set `advertise` to host:port"),
        Ok(_) => Finding::new(
            CHECK,
            Outcome::Pass,
            format!("UDP {} is free", config.listen),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::new(
            CHECK,
            Outcome::Warn,
            format!("UDP {} is in use", config.listen),
        )
        .hint("fine if duckblind-host is running"),
        Err(error) => Finding::new(CHECK, Outcome::Fail, format!("{}: {error}", config.listen)),
    }
}

fn usage_log(config: &Config) -> Finding {
    const CHECK: &str = "usage log";
    let Some(path) = &config.usage_log else {
        return Finding::new(
            CHECK,
            Outcome::Skip,
            "not configured: records are only counted",
        );
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Finding::new(CHECK, Outcome::Pass, path.display().to_string()),
        Err(error) => Finding::new(CHECK, Outcome::Fail, format!("{}: {error}", dir.display()))
            .hint("its directory must exist and be writable"),
    }
}

async fn enclave(config: &Config) -> Finding {
    const CHECK: &str = "enclave";
    let link = EnclaveLink::new(config.enclave.clone(), config.timeouts.enclave_connect);
    let told = timeout(PATIENCE, async {
        let mut watch = link.watch().await?;
        watch.next().await
    });
    match told.await {
        Ok(Ok(Some(note))) => {
            let detail = format!(
                "{} answers: epoch {}, {} s left",
                config.enclave,
                note.epoch,
                note.remaining_ms / 1000
            );
            Finding::new(CHECK, Outcome::Pass, detail)
        }
        Ok(Err(error)) => Finding::failed(CHECK, &error),
        Ok(Ok(None)) | Err(_) => {
            let detail = format!("{} takes connections but does not answer", config.enclave);
            Finding::new(CHECK, Outcome::Fail, detail)
                .hint("is the process behind it duckblind-enclave, and not draining?")
        }
    }
}

async fn verifier(config: &Config, key: Option<NodeKey>) -> [Finding; 2] {
    let skip = |check, why: &str| Finding::new(check, Outcome::Skip, why);
    let Some(key) = key else {
        return [
            skip("verifier", "no node key"),
            skip("clock", "no node key"),
        ];
    };
    let client = VerifierClient::new(
        config.verifier.clone(),
        config.verifier_ca.as_deref(),
        Arc::new(key),
        config.timeouts.verifier,
    );
    let asked = match client {
        Ok(client) => client.health().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(date) => [
            Finding::new(
                "verifier",
                Outcome::Pass,
                format!("{} answers", config.verifier),
            ),
            clock(date.as_deref(), unix_now()),
        ],
        Err(error) => [
            Finding::failed("verifier", &error),
            skip("clock", "the verifier does not answer"),
        ],
    }
}

fn clock(date: Option<&str>, now: i64) -> Finding {
    const CHECK: &str = "clock";
    let Some(theirs) = date.and_then(http_date::parse) else {
        return Finding::new(CHECK, Outcome::Skip, "the verifier sent no date");
    };
    let skew = now.saturating_sub(theirs);
    let outcome = match skew.saturating_abs() {
        apart if apart <= SKEW_WARN => Outcome::Pass,
        apart if apart <= SKEW_FAIL => Outcome::Warn,
        _ => Outcome::Fail,
    };
    let finding = Finding::new(CHECK, outcome, format!("{skew} s ahead of the verifier's"));
    if outcome == Outcome::Pass {
        finding
    } else {
        finding.hint("run a time service such as chrony")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_judged() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let at = |skew: i64| clock(date, 784_111_777 + skew).outcome;
        assert_eq!(at(0), Outcome::Pass);
        assert_eq!(at(-6), Outcome::Warn);
        assert_eq!(at(61), Outcome::Fail);
        assert_eq!(clock(None, 0).outcome, Outcome::Skip);
        assert_eq!(clock(Some("yesterday"), 0).outcome, Outcome::Skip);
    }

    #[tokio::test]
    async fn without_a_configuration_the_rest_is_skipped() {
        let report = examine(Path::new("/nonexistent/host.toml")).await;
        let (first, rest) = report.split_first().unwrap();
        assert_eq!(first.outcome, Outcome::Fail);
        assert!(first.hint.as_ref().unwrap().contains("--config"));
        assert!(rest.iter().all(|each| each.outcome == Outcome::Skip));
        // A file that is missing is no bug of ours.
        let verdict = verdict(&report).unwrap_err();
        assert!(verdict.hint().unwrap().contains("FAIL"));
    }

    #[tokio::test]
    async fn a_machine_without_enclave_and_verifier_is_unfit() {
        let dir = tempfile::tempdir().unwrap();
        NodeKey::generate().unwrap().write(dir.path()).unwrap();
        let text = format!(
            "listen = \"127.0.0.1:0\"\nenclave = \"unix:{0}/none\"\n\
             verifier = \"http://127.0.0.1:1\"\nnode_key = \"{0}/node.key\"\nclass = \"l2\"\n\
             audience = \"{1}\"\npeers = \"open\"\n",
            dir.path().display(),
            "00".repeat(32),
        );
        let path = dir.path().join("host.toml");
        std::fs::write(&path, text).unwrap();
        let report = examine(&path).await;
        let outcome = |check: &str| {
            report
                .iter()
                .find(|each| each.check == check)
                .map(|each| each.outcome)
                .expect("the check is there")
        };
        assert_eq!(outcome("config"), Outcome::Pass);
        assert_eq!(outcome("node key"), Outcome::Pass);
        assert_eq!(outcome("listen address"), Outcome::Pass);
        assert_eq!(outcome("usage log"), Outcome::Skip);
        assert_eq!(outcome("enclave"), Outcome::Fail);
        assert_eq!(outcome("verifier"), Outcome::Fail);
        assert_eq!(outcome("clock"), Outcome::Skip);
        assert_eq!(verdict(&report).unwrap_err().exit().code(), 1);
    }
}
