//! The two verdicts. Holding an [`Appraised`] is the proof that every check passed.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, UnixTime};
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee};

use super::binding::Bound;
use super::{Hardware, Inputs};
use crate::check::{Check, Outcome};
use crate::config::EnclaveConfig;
use crate::measurement::Measurement;
use crate::reason::{Reason, Warning};
use crate::release::ReleaseManifest;
use crate::snp::{Generation, Report, Tcb};

/// What was learned of an accepted platform.
#[derive(Debug)]
pub enum Platform {
    /// AMD SEV-SNP.
    Snp(SnpPlatform),
    /// Intel TDX.
    Tdx(TdxPlatform),
}

/// An SEV-SNP guest on its chip.
#[derive(Debug)]
pub struct SnpPlatform {
    /// The report's fields.
    pub report: Report,
    /// The processor.
    pub generation: Generation,
    /// The firmware that the chip key speaks for.
    pub reported_tcb: Tcb,
}

/// A TDX guest on its platform.
#[derive(Debug)]
pub struct TdxPlatform {
    /// What was launched.
    pub mrtd: Measurement,
    /// What was measured since.
    pub rtmrs: [Measurement; 4],
    /// Intel's word on the platform, such as `UpToDate`.
    pub tcb_status: String,
    /// Intel's advisories that apply, such as `INTEL-SA-00837`.
    pub advisories: Vec<String>,
    /// Which edition of Intel's data said so.
    pub tcb_evaluation: u32,
    /// Family, model, stepping and package of the platform.
    pub fmspc: [u8; 6],
    /// Which platform: the instance id, or the provisioning id where there is none.
    pub platform_id: Vec<u8>,
}

/// Evidence that passed every check of one policy at one time. Only an appraisal makes one.
#[derive(Debug)]
pub struct Appraised {
    bound: Bound,
    platform: Platform,
    body_digest: Digest,
    valid_until: UnixTime,
    warnings: Vec<Warning>,
    policy_id: Digest,
    evidence_digest: Digest,
    at: UnixTime,
    sim: bool,
}

impl Appraised {
    /// None if a fact is missing, which the checks should have said.
    pub(super) fn new(hardware: Hardware, bound: Bound, inputs: &Inputs<'_>) -> Option<Self> {
        Some(Self {
            bound,
            platform: hardware.platform?,
            body_digest: hardware.body_digest?,
            valid_until: hardware.valid_until?,
            warnings: hardware.warnings,
            policy_id: inputs.policy.id(),
            evidence_digest: Digest::of(inputs.evidence),
            at: inputs.now,
            sim: hardware.sim,
        })
    }

    /// The enclave's keys.
    pub const fn key_statement(&self) -> &KeyStatement {
        &self.bound.key_statement
    }

    /// SHA-256 of the key statement as it came: the name of these keys.
    pub const fn key_statement_digest(&self) -> Digest {
        self.bound.key_statement_digest
    }

    /// What the evidence answers.
    pub const fn challenge(&self) -> &Challenge {
        &self.bound.challenge
    }

    /// What the enclave runs with.
    pub const fn config(&self) -> &EnclaveConfig {
        &self.bound.config
    }

    /// Which build it is.
    pub const fn release(&self) -> &ReleaseManifest {
        &self.bound.release
    }

    /// What was launched: the launch digest, or MRTD.
    pub const fn measurement(&self) -> Measurement {
        match &self.platform {
            Platform::Snp(snp) => snp.report.measurement,
            Platform::Tdx(tdx) => tdx.mrtd,
        }
    }

    /// The hardware and what it says.
    pub const fn platform(&self) -> &Platform {
        &self.platform
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

    /// One life of one guest: the same for all evidence of an instance. TDX has no such thing.
    pub const fn report_id(&self) -> Option<[u8; 32]> {
        match &self.platform {
            Platform::Snp(snp) => Some(snp.report.report_id),
            Platform::Tdx(_) => None,
        }
    }

    /// The machine. Not for public logs as it is.
    pub fn platform_id(&self) -> &[u8] {
        match &self.platform {
            Platform::Snp(snp) => &snp.report.chip_id,
            Platform::Tdx(tdx) => &tdx.platform_id,
        }
    }

    /// The last second until which all of the vendor's documents hold.
    pub const fn valid_until(&self) -> UnixTime {
        self.valid_until
    }

    /// What one should know although it is accepted.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// SHA-256 of the signed part of the report: the evidence's identity, free of malleable parts.
    pub const fn evidence_body_digest(&self) -> Digest {
        self.body_digest
    }

    /// SHA-256 of the envelope as it came.
    pub const fn evidence_digest(&self) -> Digest {
        self.evidence_digest
    }

    /// The kind of platform.
    pub const fn tee(&self) -> Tee {
        self.bound.key_statement.tee
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

/// Of the checks that failed, each once, in their order.
pub(super) fn reasons(checks: &[Check]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for check in checks {
        if check.outcome == Outcome::Fail && !reasons.contains(&check.reason) {
            reasons.push(check.reason);
        }
    }
    reasons
}

impl Rejected {
    pub(super) fn from_checks(checks: &[Check]) -> Self {
        let failed: Vec<Check> = checks
            .iter()
            .filter(|check| check.outcome == Outcome::Fail)
            .cloned()
            .collect();
        let mut reasons = reasons(&failed);
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
