//! The two verdicts. Holding an [`Appraised`] is the proof that every check passed.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, UnixTime};
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee};

use super::{Facts, Inputs};
use crate::check::{Check, Outcome};
use crate::config::EnclaveConfig;
use crate::measurement::Measurement;
use crate::reason::Reason;
use crate::release::ReleaseManifest;
use crate::snp::{Generation, Tcb};

/// Evidence that passed every check of one policy at one time. Only an appraisal makes one.
#[derive(Debug)]
pub struct Appraised {
    facts: FactsKept,
    policy_id: Digest,
    evidence_digest: Digest,
    at: UnixTime,
    sim: bool,
}

#[derive(Debug)]
struct FactsKept {
    key_statement: KeyStatement,
    key_statement_digest: Digest,
    challenge: Challenge,
    config: EnclaveConfig,
    release: ReleaseManifest,
    measurement: Measurement,
    report_id: [u8; 32],
    chip_id: [u8; 64],
    body_digest: Digest,
    generation: Generation,
    reported_tcb: Tcb,
    vek_not_after: UnixTime,
}

impl Appraised {
    pub(super) fn new(facts: Facts, inputs: &Inputs<'_>, sim: bool) -> Self {
        let Facts { hardware, bound } = facts;
        Self {
            facts: FactsKept {
                key_statement_digest: bound.key_statement_digest,
                key_statement: bound.key_statement,
                challenge: bound.challenge,
                config: bound.config,
                release: bound.release,
                measurement: hardware.report.measurement,
                report_id: hardware.report.report_id,
                chip_id: hardware.report.chip_id,
                body_digest: hardware.body_digest,
                generation: hardware.generation,
                reported_tcb: hardware.reported_tcb,
                vek_not_after: hardware.vek_not_after,
            },
            policy_id: inputs.policy.id(),
            evidence_digest: Digest::of(inputs.evidence),
            at: inputs.now,
            sim,
        }
    }

    /// The enclave's keys.
    pub const fn key_statement(&self) -> &KeyStatement {
        &self.facts.key_statement
    }

    /// SHA-256 of the key statement as it came: the name of these keys.
    pub const fn key_statement_digest(&self) -> Digest {
        self.facts.key_statement_digest
    }

    /// What the evidence answers.
    pub const fn challenge(&self) -> &Challenge {
        &self.facts.challenge
    }

    /// What the enclave runs with.
    pub const fn config(&self) -> &EnclaveConfig {
        &self.facts.config
    }

    /// Which build it is.
    pub const fn release(&self) -> &ReleaseManifest {
        &self.facts.release
    }

    /// What was launched.
    pub const fn measurement(&self) -> Measurement {
        self.facts.measurement
    }

    /// The policy that it passed.
    pub const fn policy_id(&self) -> Digest {
        self.policy_id
    }

    /// Whether the platform is simulated: decided by the root of its chain, nothing else.
    pub const fn sim(&self) -> bool {
        self.sim
    }

    /// The time it was judged at.
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// One life of one guest: the same for all evidence of an instance.
    pub const fn report_id(&self) -> [u8; 32] {
        self.facts.report_id
    }

    /// The chip. Not for public logs as it is.
    pub const fn chip_id(&self) -> &[u8; 64] {
        &self.facts.chip_id
    }

    /// Last second of the chip key's certificate.
    pub const fn vek_not_after(&self) -> UnixTime {
        self.facts.vek_not_after
    }

    /// SHA-256 of the signed part of the report: the evidence's identity, free of malleable parts.
    pub const fn evidence_body_digest(&self) -> Digest {
        self.facts.body_digest
    }

    /// SHA-256 of the envelope as it came.
    pub const fn evidence_digest(&self) -> Digest {
        self.evidence_digest
    }

    /// The kind of platform.
    pub const fn tee(&self) -> Tee {
        self.facts.key_statement.tee
    }

    /// The processor.
    pub const fn generation(&self) -> Generation {
        self.facts.generation
    }

    /// The firmware that the chip key speaks for.
    pub const fn reported_tcb(&self) -> Tcb {
        self.facts.reported_tcb
    }
}

/// Evidence that failed at least one check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("evidence was refused: {}", names(.reasons))]
pub struct Rejected {
    /// Why, each reason once, in the order of the checks. Never empty.
    pub reasons: Vec<Reason>,
    /// The checks that failed.
    pub failed: Vec<Check>,
}

fn names(reasons: &[Reason]) -> String {
    let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    names.join(", ")
}

impl Rejected {
    pub(super) fn from_checks(checks: &[Check]) -> Self {
        let failed: Vec<Check> = checks
            .iter()
            .filter(|check| check.outcome == Outcome::Fail)
            .cloned()
            .collect();
        let mut reasons = Vec::new();
        for check in &failed {
            if !reasons.contains(&check.reason) {
                reasons.push(check.reason);
            }
        }
        if reasons.is_empty() {
            // Something was not readable without a failed check saying so. Refuse all the same.
            reasons.push(Reason::Format);
        }
        Self { reasons, failed }
    }

    fn first(&self) -> Reason {
        self.reasons.first().copied().unwrap_or(Reason::Format)
    }
}

impl Coded for Rejected {
    fn code(&self) -> &'static str {
        self.first().code()
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
    fn expected(&self) -> Option<String> {
        let first = self.failed.first()?;
        Some(format!("{}: {}", first.name, first.expected))
    }
    fn got(&self) -> Option<String> {
        self.failed.first().map(|check| check.got.clone())
    }
    fn hint(&self) -> Option<String> {
        Some(self.first().hint().to_owned())
    }
}
