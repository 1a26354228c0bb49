//! The judgement: evidence, a policy and what was expected go in, a verdict with every check that
//! led to it comes out. No clock, no network, no file.

mod accepted;
mod binding;
mod chain;
mod configuration;
mod hardware;
mod platform;

#[cfg(test)]
mod vectors;

#[cfg(all(test, feature = "simulator"))]
mod accepts;
#[cfg(all(test, feature = "simulator"))]
mod refuses;

use duckblind_protocol::cbor::DecodeError;
use duckblind_protocol::ids::{Digest, Nonce, UnixTime};

pub use accepted::{Appraised, Rejected};

use crate::check::{Check, Checks};
use crate::evidence::Evidence;
use crate::policy::Policy;
use crate::reason::Reason;

/// Everything that an appraisal depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The envelope, as it came.
    pub evidence: &'a [u8],
    /// What is acceptable.
    pub policy: &'a Policy,
    /// What was asked.
    pub expected: Expected,
    /// The time to judge at.
    pub now: UnixTime,
}

/// What honest evidence must repeat. There is no way to expect nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The combined nonce of the challenge.
    pub nonce: Nonce,
    /// SHA-256 of the SPKI of the EAR signer that the challenge named.
    pub audience: Digest,
    /// Report id of earlier evidence of the same instance, if there was any: it must not change.
    pub earlier_report_id: Option<[u8; 32]>,
    /// Epoch of earlier evidence of the same instance, if there was any: it must not go back.
    pub earlier_epoch: Option<u64>,
}

/// The verdict, and how it came about.
#[derive(Debug)]
pub struct Appraisal {
    /// Every check made, in order, passed or failed. A check that needs something an earlier one
    /// failed to yield is not made; then the verdict is negative anyway.
    pub checks: Vec<Check>,
    /// The verdict.
    pub result: Result<Appraised, Rejected>,
    /// SHA-256 of the envelope as it came.
    pub evidence_digest: Digest,
    /// SHA-256 of the policy file.
    pub policy_id: Digest,
    /// The time judged at.
    pub at: UnixTime,
    /// Whether the chain ends in the root of a simulated platform, accepted or not.
    pub sim: bool,
}

/// Judges evidence. Never panics, whatever the evidence is; work is bounded by the caps of
/// [`crate::evidence`].
pub fn appraise(inputs: &Inputs<'_>) -> Appraisal {
    let mut checks = Checks::default();
    let mut sim = false;
    let facts = judge(&mut checks, inputs, &mut sim);
    let passed = checks.all_passed();
    let checks = checks.into_list();
    let result = match facts {
        Some(facts) if passed => Ok(Appraised::new(facts, inputs, sim)),
        _ => Err(Rejected::from_checks(&checks)),
    };
    Appraisal {
        checks,
        result,
        evidence_digest: Digest::of(inputs.evidence),
        policy_id: inputs.policy.id(),
        at: inputs.now,
        sim,
    }
}

/// What is known once everything could be read.
struct Facts {
    hardware: hardware::Hardware,
    bound: binding::Bound,
}

fn judge(checks: &mut Checks, inputs: &Inputs<'_>, sim: &mut bool) -> Option<Facts> {
    let policy = inputs.policy;
    let evidence = Evidence::decode(inputs.evidence);
    let reason = match &evidence {
        Err(DecodeError::TooLong { .. }) => Reason::Limit,
        Err(DecodeError::Version { .. }) => Reason::Version,
        _ => Reason::Format,
    };
    let evidence = checks.step("evidence.format", reason, evidence, "an evidence envelope")?;
    checks.check(
        "evidence.tee",
        Reason::Platform,
        policy.tees.contains(&evidence.tee),
        "a kind that the policy lists",
        evidence.tee,
    );
    let hardware = hardware::judge(checks, &evidence, inputs, sim);
    let report_data = hardware
        .as_ref()
        .map(|hardware| &hardware.report.report_data);
    let bound = binding::judge(checks, &evidence, report_data, inputs);
    if let Some(config) = bound.as_ref().map(|bound| &bound.config) {
        configuration::judge(checks, config, &policy.config);
    }
    Some(Facts {
        hardware: hardware?,
        bound: bound?,
    })
}
