//! `doctor`: is this machine fit to run the host agent? One line per check, a hint where it helps.
//!
//! Everything is looked at without changing anything: files, the kernel's own words, the enclave's
//! evidence (asked for as a verifier would, and judged under a policy if one is given), the
//! verifier's clock.

mod agent;
mod clock;
mod collateral;
mod date;
mod devices;
mod enclave;
mod evidence;
mod finding;
mod kernel;
mod machine;
mod modes;
mod policy;
mod processor;
mod verifier;

use std::path::Path;

use duckblind_attestation::evidence::Evidence;
use duckblind_protocol::ids::UnixTime;
use duckblind_protocol::order::Class;

pub use finding::{Finding, Outcome, render, verdict};
pub use machine::Machine;

use crate::clock::unix_now;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;
use evidence::Answer;
use processor::Processor;

/// The lines about the enclave's evidence.
const OF_EVIDENCE: [&str; 3] = ["evidence", "endorsements", "collateral"];
/// The lines for which the agent's configuration is needed.
const OF_CONFIG: [&str; 8] = [
    "file modes",
    "node key",
    "enrol token",
    "listen address",
    "usage log",
    "enclave",
    "verifier",
    "policy",
];

/// Checks everything that can be checked. `policy` is the file to judge the enclave's evidence by.
pub async fn examine(config: &Path, policy: Option<&Path>, machine: &Machine) -> Vec<Finding> {
    let loaded = match Config::load(config) {
        Ok(loaded) => loaded,
        Err(error) => {
            let hint = "host.example.toml shows what belongs into it";
            let mut report = vec![Finding::failed("config", &error, hint)];
            report.extend(hardware(machine, Class::L2));
            let skipped = OF_CONFIG.into_iter().chain(OF_EVIDENCE);
            report.extend(skipped.map(|check| Finding::skip(check, "no configuration")));
            report.push(clock::examine(None, unix_now()));
            report.push(clock::service(machine));
            return report;
        }
    };
    let (node_key, key) = agent::node_key(&loaded);
    let mut report = vec![
        Finding::pass("config", "it parses"),
        modes::examine(config, &loaded),
        node_key,
        agent::enrol_token(&loaded),
        agent::listen_address(&loaded),
        agent::usage_log(&loaded),
    ];
    report.extend(hardware(machine, loaded.class));
    report.extend(of_enclave(&loaded, policy).await);
    let (verifier, date) = verifier::examine(&loaded, key).await;
    report.push(verifier);
    report.push(clock::examine(date.as_deref(), unix_now()));
    report.push(clock::service(machine));
    report
}

fn hardware(machine: &Machine, class: Class) -> Vec<Finding> {
    if class == Class::L0 {
        let skip = |check| Finding::skip(check, "class l0 needs no trusted hardware");
        return ["processor", "devices", "kernel interface"]
            .map(skip)
            .into();
    }
    let processor = Processor::read(machine);
    let processor = processor.as_ref();
    let mut findings = vec![processor::examine(processor)];
    findings.extend(devices::examine(machine, processor));
    findings.push(kernel::examine(machine, processor));
    findings
}

async fn of_enclave(config: &Config, policy: Option<&Path>) -> Vec<Finding> {
    let link = EnclaveLink::new(config.enclave.clone(), config.timeouts.enclave_connect);
    let mut report = vec![enclave::examine(config, &link).await];
    let mut answer = None;
    if verdict(&report).is_ok() {
        match evidence::ask(config, &link).await {
            Ok(given) => answer = Some(given),
            Err(error) => {
                let hint = "look into the enclave's log";
                report.push(Finding::failed("evidence", &error, hint));
            }
        }
    }
    let now = UnixTime(unix_now());
    if let Some(answer) = &answer {
        report.extend(carried(answer, now));
    }
    for check in OF_EVIDENCE {
        if report.iter().all(|finding| finding.check != check) {
            report.push(Finding::skip(check, "no evidence"));
        }
    }
    report.extend(policy::examine(policy, answer.as_ref(), now));
    report
}

fn carried(answer: &Answer, now: UnixTime) -> Vec<Finding> {
    match Evidence::decode(&answer.bytes) {
        Ok(evidence) => {
            let mut findings = evidence::examine(&evidence).to_vec();
            findings.extend(collateral::examine(&evidence.endorsements, now));
            findings
        }
        Err(error) => {
            let hint = "is the process behind `enclave` duckblind-enclave?";
            vec![Finding::failed("evidence", &error, hint)]
        }
    }
}
