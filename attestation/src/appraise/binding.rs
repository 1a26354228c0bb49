//! What the report speaks for: keys, challenge, configuration and release, each recomputed from
//! the bytes that came along.

use aws_lc_rs::constant_time;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::{Challenge, KeyStatement, report_data};

use super::Inputs;
use crate::check::Checks;
use crate::config::EnclaveConfig;
use crate::evidence::Evidence;
use crate::reason::Reason;
use crate::release::ReleaseManifest;

/// The preimages, read.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) key_statement: KeyStatement,
    pub(super) key_statement_digest: Digest,
    pub(super) challenge: Challenge,
    pub(super) config: EnclaveConfig,
    pub(super) release: ReleaseManifest,
}

pub(super) fn judge(
    checks: &mut Checks,
    evidence: &Evidence,
    reported: Option<&[u8; 64]>,
    inputs: &Inputs<'_>,
) -> Option<Bound> {
    if let Some(reported) = reported {
        let wanted = report_data(&evidence.key_statement, &evidence.challenge);
        checks.check(
            "binding.report_data",
            Reason::Binding,
            constant_time::verify_slices_are_equal(&wanted, reported).is_ok(),
            hex::encode(wanted),
            hex::encode(reported),
        );
    }
    let challenge = challenge(checks, evidence, inputs);
    let key_statement = statement(checks, evidence, inputs);
    let release = release(checks, evidence, inputs);
    let config = checks.step(
        "config.format",
        Reason::Config,
        EnclaveConfig::decode(&evidence.config),
        "a configuration",
    );
    Some(Bound {
        key_statement: key_statement?,
        key_statement_digest: Digest::of(&evidence.key_statement),
        challenge: challenge?,
        config: config?,
        release: release?,
    })
}

fn challenge(checks: &mut Checks, evidence: &Evidence, inputs: &Inputs<'_>) -> Option<Challenge> {
    let challenge = checks.step(
        "challenge.format",
        Reason::Format,
        Challenge::decode(&evidence.challenge),
        "a challenge",
    )?;
    let expected = &inputs.expected;
    let (nonce, audience) = (expected.nonce, expected.audience);
    checks.check(
        "challenge.nonce",
        Reason::Nonce,
        constant_time::verify_slices_are_equal(nonce.as_bytes(), challenge.nonce.as_bytes())
            .is_ok(),
        nonce,
        challenge.nonce,
    );
    checks.check(
        "challenge.audience",
        Reason::Nonce,
        audience.ct_eq(&challenge.audience),
        audience,
        challenge.audience,
    );
    Some(challenge)
}

fn statement(
    checks: &mut Checks,
    evidence: &Evidence,
    inputs: &Inputs<'_>,
) -> Option<KeyStatement> {
    let statement = checks.step(
        "statement.format",
        Reason::Format,
        KeyStatement::decode(&evidence.key_statement),
        "a key statement",
    )?;
    checks.check(
        "statement.tee",
        Reason::Binding,
        statement.tee == evidence.tee,
        evidence.tee,
        statement.tee,
    );
    checks.check(
        "statement.suite",
        Reason::Config,
        inputs.policy.suites.contains(&statement.suite),
        "a suite that the policy lists",
        statement.suite,
    );
    if let Some(earlier) = inputs.expected.earlier_epoch {
        checks.check(
            "statement.epoch",
            Reason::Binding,
            // The key of the epoch before still opens jobs: evidence for it may come second.
            statement.epoch.saturating_add(1) >= earlier,
            format_args!("at most one before {earlier}"),
            statement.epoch,
        );
    }
    preimage(
        checks,
        "statement.config",
        &statement.config,
        &evidence.config,
    );
    preimage(
        checks,
        "statement.release",
        &statement.release,
        &evidence.release,
    );
    Some(statement)
}

fn preimage(checks: &mut Checks, name: &'static str, stated: &Digest, carried: &[u8]) {
    let carried = Digest::of(carried);
    checks.check(
        name,
        Reason::Binding,
        stated.ct_eq(&carried),
        stated,
        carried,
    );
}

fn release(
    checks: &mut Checks,
    evidence: &Evidence,
    inputs: &Inputs<'_>,
) -> Option<ReleaseManifest> {
    let digest = Digest::of(&evidence.release);
    let releases = &inputs.policy.releases;
    checks.check(
        "release.accepted",
        Reason::Config,
        releases.contains(&digest),
        format_args!("one of {} in the policy", releases.as_slice().len()),
        digest,
    );
    checks.step(
        "release.format",
        Reason::Config,
        ReleaseManifest::decode(&evidence.release),
        "a release manifest",
    )
}
