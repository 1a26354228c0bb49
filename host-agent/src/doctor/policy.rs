//! The enclave's evidence under a policy: what its requesters would say to it.

use std::path::Path;

use duckblind_attestation::appraise::{Appraisal, Floors, Inputs, appraise};
use duckblind_attestation::check::Check;
use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::policy::{MAX_POLICY, Policy};
use duckblind_attestation::reason::{Reason, Warning};
use duckblind_protocol::ids::UnixTime;

use super::evidence::Answer;
use super::finding::Finding;
use crate::files;

const CHECK: &str = "policy";

/// Every check that fails is a finding. `file` holds the policy.
pub(super) fn examine(file: Option<&Path>, answer: Option<&Answer>, now: UnixTime) -> Vec<Finding> {
    let Some(file) = file else {
        let skip = Finding::skip(CHECK, "none given");
        return vec![skip.hint("--policy FILE judges the enclave's evidence as requesters do")];
    };
    match (load(file), answer) {
        (Err(finding), _) => vec![finding],
        (Ok(_), None) => vec![Finding::skip(CHECK, "no evidence")],
        (Ok(policy), Some(answer)) => judge(&policy, answer, now),
    }
}

fn load(file: &Path) -> Result<Policy, Finding> {
    const HINT: &str = "policies/ has commented ones";
    let bytes = files::read_small(file, "the policy", MAX_POLICY as u64)
        .map_err(|error| Finding::failed(CHECK, &error, HINT))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Finding::fail(CHECK, format!("{} is not UTF-8", file.display()), HINT))?;
    Policy::parse(&text).map_err(|error| Finding::failed(CHECK, &error, HINT))
}

fn judge(policy: &Policy, answer: &Answer, now: UnixTime) -> Vec<Finding> {
    let appraisal = appraise(&Inputs {
        evidence: &answer.bytes,
        endorsements: &Endorsements::default(),
        policy,
        expected: answer.expected,
        floors: &Floors::default(),
        now,
    });
    findings(policy, &appraisal)
}

fn findings(policy: &Policy, appraisal: &Appraisal) -> Vec<Finding> {
    match &appraisal.result {
        Ok(_) => {
            let checks = appraisal.checks.len();
            let detail = format!("accepted under {}, {checks} checks", policy.name());
            let accepted = Finding::pass(CHECK, detail);
            let warnings = appraisal.warnings.iter().map(|warning| {
                let detail = format!("{}: {}", warning.as_str(), warning.meaning());
                Finding::warn(CHECK, detail, remedy(*warning))
            });
            std::iter::once(accepted).chain(warnings).collect()
        }
        Err(refused) if refused.failed.is_empty() => {
            vec![Finding::failed(CHECK, refused, "ask for fresh evidence")]
        }
        Err(refused) => refused.failed.iter().map(failed).collect(),
    }
}

/// Requesters see the warning with every result until this is done.
const fn remedy(warning: Warning) -> &'static str {
    match warning {
        Warning::Simulated => "run the enclave in an SEV-SNP or TDX guest",
        Warning::Generation => "run the enclave on Genoa or Turin",
        Warning::TcbStatus => "update the platform's firmware",
        Warning::Provisional => "commit the firmware that runs (snphost commit)",
        Warning::NoRevocation => {
            "import AMD's revocation list together with the chain; verifiers may have one of their own"
        }
        _ => "requesters see this with every result",
    }
}

fn failed(check: &Check) -> Finding {
    let Check {
        name,
        reason,
        expected,
        got,
        ..
    } = check;
    let detail = format!("{} {name}: expected {expected}; got {got}", reason.as_str());
    if *reason == Reason::CollateralMissing {
        // Whoever appraises for real has a way to fetch it.
        let hint = "requesters' verifiers have to fetch it; what depends on it was not judged here";
        Finding::warn(CHECK, detail, hint)
    } else {
        Finding::fail(CHECK, detail, reason.hint())
    }
}
