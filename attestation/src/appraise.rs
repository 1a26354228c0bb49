//! The judgement: evidence, a policy and what was expected go in, a verdict with every check that
//! led to it comes out. No clock, no network, no file.

mod accepted;
mod binding;
mod configuration;
pub mod crypto;
mod floors;
mod snp;
mod tdx;

#[cfg(test)]
mod vectors;

#[cfg(all(test, feature = "simulator"))]
mod accepts;
#[cfg(all(test, feature = "simulator"))]
mod refuses;

use duckblind_protocol::cbor::DecodeError;
use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::Tee;

use minicbor::{Decode, Encode};

pub use accepted::{Appraised, Platform, Rejected, SnpPlatform, TdxPlatform};
pub use floors::Floors;

pub use crate::snp::SignatureCache;

use crate::check::{Check, Checks};
use crate::evidence::{Endorsements, Evidence};
use crate::policy::Policy;
use crate::reason::{Reason, Warning};

/// Everything that an appraisal depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The envelope, as it came.
    pub evidence: &'a [u8],
    /// What the appraiser knows of the hardware by itself. It goes before what the evidence
    /// carries.
    pub endorsements: &'a Endorsements,
    /// What is acceptable.
    pub policy: &'a Policy,
    /// What was asked.
    pub expected: Expected,
    /// What must not go back. Keeping them is the caller's business.
    pub floors: &'a Floors,
    /// The time to judge at.
    pub now: UnixTime,
}

/// What honest evidence must repeat. There is no way to expect nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Expected {
    /// The combined nonce of the challenge.
    #[n(1)]
    pub nonce: Nonce,
    /// SHA-256 of the SPKI of the EAR signer that the challenge named.
    #[n(2)]
    pub audience: Digest,
    /// Report id of earlier evidence of the same instance, if there was any: it must not change.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub earlier_report_id: Option<[u8; 32]>,
    /// Epoch of earlier evidence of the same instance, if there was any: it must not go back by
    /// more than the one whose key still opens jobs.
    #[n(4)]
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
    /// What one should know although it is accepted.
    pub warnings: Vec<Warning>,
    /// Floors to expect next time: those given, raised by accepted evidence only. A vendor's newest
    /// document is easy to come by; nobody is to outdate what others hold by showing it around.
    pub floors: Floors,
    /// The vendor's documents that were looked at.
    pub collateral: Collateral,
}

/// The vendor's documents behind a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collateral {
    /// Names (`ark`, `ask`, `vek`, `crl`, `tcb-info`, …) and SHA-256 of their bytes, in the order
    /// of the names.
    pub digests: std::collections::BTreeMap<&'static str, Digest>,
    /// The time from which all of them hold, and the last second until which they do; none if
    /// any could not be read.
    pub window: Option<(UnixTime, UnixTime)>,
}

/// Judges evidence. Never panics, whatever the evidence is; work is bounded by the caps of
/// [`crate::evidence`].
pub fn appraise(inputs: &Inputs<'_>) -> Appraisal {
    appraise_with(inputs, &SignatureCache::none())
}

/// Judges evidence as [`appraise`] does, with the same outcome, but spends no time on signatures
/// of vendors that `cache` knows.
pub fn appraise_with(inputs: &Inputs<'_>, cache: &SignatureCache) -> Appraisal {
    let mut checks = Checks::default();
    let (hardware, bound) = judge(&mut checks, inputs, cache);
    let passed = checks.all_passed();
    let checks = checks.into_list();
    let seen = hardware.seen.clone();
    let appraisal = Appraisal {
        result: Err(Rejected::from_checks(&checks)),
        checks,
        evidence_digest: Digest::of(inputs.evidence),
        policy_id: inputs.policy.id(),
        at: inputs.now,
        sim: hardware.sim,
        warnings: hardware.warnings.clone(),
        floors: inputs.floors.clone(),
        collateral: hardware.collateral.clone(),
    };
    match bound {
        Some(bound) if passed => match Appraised::new(hardware, bound, inputs) {
            Some(accepted) => {
                let mut floors = inputs.floors.clone();
                floors.raise(&seen);
                Appraisal {
                    result: Ok(accepted),
                    floors,
                    ..appraisal
                }
            }
            None => appraisal,
        },
        _ => appraisal,
    }
}

/// What the hardware's part of the evidence showed, as far as it could be read. Whether to believe
/// it stands in the checks.
#[derive(Default)]
struct Hardware {
    /// The 64 bytes of ours in the report.
    report_data: Option<[u8; 64]>,
    /// SHA-256 of the signed part of the report.
    body_digest: Option<Digest>,
    /// The platform; none if something needed was not there.
    platform: Option<Platform>,
    /// Whether the chain ends in a simulated root.
    sim: bool,
    /// The last second until which all of the vendor's documents hold.
    valid_until: Option<UnixTime>,
    warnings: Vec<Warning>,
    /// Verified documents only.
    seen: Floors,
    collateral: Collateral,
}

fn judge(
    checks: &mut Checks,
    inputs: &Inputs<'_>,
    cache: &SignatureCache,
) -> (Hardware, Option<binding::Bound>) {
    let evidence = Evidence::decode(inputs.evidence);
    let reason = match &evidence {
        Err(DecodeError::TooLong { .. }) => Reason::Limit,
        Err(DecodeError::Version { .. }) => Reason::Version,
        _ => Reason::Format,
    };
    let evidence = checks.step("evidence.format", reason, evidence, "an evidence envelope");
    let Some(evidence) = evidence else {
        return (Hardware::default(), None);
    };
    let endorsements = inputs.endorsements.or(&evidence.endorsements);
    let hardware = judge_hardware(checks, &evidence, &endorsements, inputs, cache);
    let bound = binding::judge(checks, &evidence, hardware.report_data.as_ref(), inputs);
    if let Some(config) = bound.as_ref().map(|bound| &bound.config) {
        configuration::judge(checks, config, &inputs.policy.config);
    }
    (hardware, bound)
}

/// Judges the report and what stands behind it, by the rules of its kind of platform.
fn judge_hardware(
    checks: &mut Checks,
    evidence: &Evidence,
    endorsements: &Endorsements,
    inputs: &Inputs<'_>,
    cache: &SignatureCache,
) -> Hardware {
    let policy = inputs.policy;
    checks.check(
        "evidence.tee",
        Reason::Platform,
        policy.tees.contains(&evidence.tee),
        "a kind that the policy lists",
        evidence.tee,
    );
    // A kind without a section in the policy has failed the check above.
    match (evidence.tee, &policy.snp, &policy.tdx) {
        (Tee::SevSnp, Some(of_snp), _) => {
            snp::judge(checks, evidence, endorsements, of_snp, inputs, cache)
        }
        (Tee::Tdx, _, Some(of_tdx)) => tdx::judge(checks, evidence, endorsements, of_tdx, inputs),
        _ => Hardware::default(),
    }
}
