//! Our own judgement of what a verifier vouches for.

use duckblind_attestation::appraise::{Appraised, Expected, Floors, Inputs, appraise};
use duckblind_attestation::check::Check;
use duckblind_attestation::ear::EarClaims;
use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::ids::{NodeId, Nonce, UnixTime};

use super::admit_error::AdmitError;
use super::ear::{VerifiedEar, verify_ear};
use super::file::Trust;

/// Seconds that an attestation result may outlive the epoch of the key it speaks for.
const LIFETIME_SLACK_SECONDS: i64 = 60;

/// Evidence and attestation result, as someone offered them.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The evidence envelope.
    pub evidence: &'a [u8],
    /// The vendor's documents that the verifier had beside those in the evidence.
    pub endorsements: &'a Endorsements,
    /// The attestation result as a JWT.
    pub ear_jwt: Option<&'a str>,
    /// The same claims as COSE.
    pub ear_cose: Option<&'a [u8]>,
    /// Our own part of the nonce; none if evidence is reused.
    pub requester_nonce: Option<&'a Nonce>,
    /// The node whose evidence the verifier says it is; none if it came from the enclave itself.
    pub node: Option<&'a NodeId>,
}

/// Evidence that passed here, with a result that says the same of it.
#[derive(Debug)]
pub struct Judged {
    appraised: Appraised,
    ear: VerifiedEar,
    checks: Vec<Check>,
    floors: Floors,
}

impl Judged {
    /// What was appraised.
    pub fn appraised(&self) -> &Appraised {
        &self.appraised
    }

    /// The attestation result.
    pub fn ear(&self) -> &VerifiedEar {
        &self.ear
    }

    /// Every check of our own appraisal.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What must not go back from now on.
    pub fn floors(&self) -> &Floors {
        &self.floors
    }

    pub(super) fn into_parts(self) -> (Appraised, VerifiedEar) {
        (self.appraised, self.ear)
    }
}

/// Appraises evidence under a pinned policy, checks the attestation result against pinned keys,
/// and compares them. `floors` is what must not go back; `now` is the time to judge at: the clock
/// for a job, the result's own time for an audit. No network, no clock, no file.
pub fn judge(
    trust: &Trust,
    offer: &Offer<'_>,
    floors: &Floors,
    now: UnixTime,
) -> Result<Judged, AdmitError> {
    let ear = verify_ear(
        offer.ear_jwt,
        offer.ear_cose,
        trust.ear_signers(),
        offer.requester_nonce,
        now,
    )?;
    let claims = ear.claims();
    let accepted = trust
        .policy(&claims.policy_id)
        .ok_or(AdmitError::Policy(claims.policy_id))?;
    let appraisal = appraise(&Inputs {
        evidence: offer.evidence,
        endorsements: offer.endorsements,
        policy: &accepted.policy,
        expected: Expected {
            nonce: claims.nonce,
            audience: ear.audience(),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors,
        now,
    });
    let appraised = match appraisal.result {
        Ok(appraised) => appraised,
        Err(rejected) => {
            return Err(AdmitError::Rejected {
                rejected,
                checks: appraisal.checks,
            });
        }
    };
    if !claims.is_accepted() {
        let reasons: Vec<_> = claims.reasons.iter().map(|r| r.as_str()).collect();
        return Err(AdmitError::Negative(reasons.join(", ")));
    }
    claims.agrees_with(&appraised).map_err(AdmitError::Ear)?;
    lifetime(claims, &appraised)?;
    if let (Some(expected), Some(got)) = (offer.node, claims.node)
        && *expected != got
    {
        return Err(AdmitError::Node {
            expected: *expected,
            got,
        });
    }
    if appraised.sim() && !trust.simulator() {
        return Err(AdmitError::Simulated);
    }
    Ok(Judged {
        appraised,
        ear,
        checks: appraisal.checks,
        floors: appraisal.floors,
    })
}

/// The verifier chooses the end; the attested configuration bounds it.
fn lifetime(claims: &EarClaims, appraised: &Appraised) -> Result<(), AdmitError> {
    let epoch = i64::from(appraised.config().timeouts.epoch_ms / 1000);
    let most = epoch.saturating_add(LIFETIME_SLACK_SECONDS);
    let life = claims.exp.0.saturating_sub(claims.iat.0);
    if life > most {
        return Err(AdmitError::Lifetime { life, most });
    }
    Ok(())
}

#[cfg(all(test, feature = "simulator"))]
#[path = "judge_tests.rs"]
mod tests;
