//! Judging: evidence under each policy in turn, and the verdict signed, whichever it is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::appraise::{
    Appraisal, Appraised, Expected, Floors, Inputs, SignatureCache, appraise_with,
};
use duckblind_attestation::check::{Check, Outcome};
use duckblind_attestation::ear::{self, Context, EarClaims, EarError, VerifierId};
use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::policy::Policy;
use duckblind_protocol::http::{AppraisalReply, CheckLine};
use duckblind_protocol::ids::{Digest, InstanceId, NodeId, RandomError, UnixTime};
use duckblind_protocol::key_statement::{KeyStatement, Tee, combined_nonce};

use crate::ear_key::EarKey;
use crate::store::attestations::Shown;
use crate::store::instances::{Earlier, Known};
use crate::store::nonces::NonceParts;

/// Vendors' signatures that are remembered: four for each of some thousand machines.
const CACHED: usize = 4096;
const TAG_CHIP: &str = "duckblind/v1/seen-chip";
const TAG_INSTANCE: &str = "duckblind/v1/seen-instance";

/// Appraises and signs.
pub struct Judge {
    key: EarKey,
    policies: Vec<Policy>,
    lifetime_seconds: u32,
    /// The chains of machines that attest again and again.
    cache: SignatureCache,
}

/// What is to be judged.
pub struct Question<'a> {
    /// The envelope as it came.
    pub evidence: &'a [u8],
    /// The vendor's documents that were found here.
    pub endorsements: Endorsements,
    /// What must not go back.
    pub floors: &'a Floors,
    /// The nonce of the challenge that was taken for it.
    pub nonces: NonceParts,
    /// The node that sent it, proven by its signature; none for a requester.
    pub node: Option<NodeId>,
    /// What earlier evidence of the claimed instance showed.
    pub earlier: Option<Earlier>,
    /// The time to judge at.
    pub now: UnixTime,
}

/// The verdict could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// No policy is loaded.
    #[error("no policy is loaded")]
    NoPolicy,
    /// No randomness for the result's id.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The result could not be signed.
    #[error(transparent)]
    Sign(#[from] EarError),
}

impl Judge {
    /// `policies` are tried in their order.
    pub fn new(key: EarKey, policies: Vec<Policy>, lifetime: Duration) -> Self {
        Self {
            key,
            policies,
            lifetime_seconds: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
            cache: SignatureCache::new(CACHED),
        }
    }

    /// Judges under the policies in turn. The first that accepts speaks; if none does, the first
    /// of all says why.
    pub fn judge(&self, question: Question<'_>) -> Result<Judged, JudgeError> {
        let NonceParts {
            verifier,
            requester,
        } = question.nonces;
        let expected = Expected {
            nonce: combined_nonce(&verifier, requester.as_ref()),
            audience: self.key.audience(),
            earlier_report_id: question.earlier.and_then(|earlier| earlier.report_id),
            earlier_epoch: question.earlier.map(|earlier| earlier.epoch),
        };
        let mut first = None;
        let mut accepted = None;
        for policy in &self.policies {
            let inputs = Inputs {
                evidence: question.evidence,
                endorsements: &question.endorsements,
                policy,
                expected,
                floors: question.floors,
                now: question.now,
            };
            let appraisal = appraise_with(&inputs, &self.cache);
            if appraisal.result.is_ok() {
                accepted = Some(appraisal);
                break;
            }
            first.get_or_insert(appraisal);
        }
        let appraisal = accepted.or(first).ok_or(JudgeError::NoPolicy)?;

        let context = Context {
            lifetime_seconds: self.lifetime_seconds,
            verifier_id: VerifierId {
                developer: "Duckblind".into(),
                build: concat!("duckblind-verifier ", env!("CARGO_PKG_VERSION")).into(),
            },
            verifier_nonce: verifier,
            requester_nonce: requester,
            node: question.node,
        };
        let claims = EarClaims::new(&appraisal, context)?;
        Ok(Judged {
            ear_jwt: ear::sign_jwt(&claims, self.key.signer())?,
            ear_cose: ear::sign_cose(&claims, self.key.signer())?,
            verdict: claims.status.to_string(),
            endorsements: question.endorsements,
            claims,
            appraisal,
        })
    }
}

/// The instance that evidence claims to be of: only to look up what must not have changed.
pub fn claimed_instance(evidence: &[u8]) -> Option<InstanceId> {
    let evidence = Evidence::decode(evidence).ok()?;
    let statement = KeyStatement::decode(&evidence.key_statement).ok()?;
    Some(statement.instance)
}

/// A signed verdict.
pub struct Judged {
    appraisal: Appraisal,
    endorsements: Endorsements,
    claims: EarClaims,
    verdict: String,
    ear_jwt: String,
    ear_cose: Vec<u8>,
}

impl Judged {
    /// As it is answered.
    pub fn reply(&self) -> AppraisalReply {
        AppraisalReply {
            verdict: self.verdict.clone(),
            reasons: self.reasons().into_iter().map(str::to_owned).collect(),
            ear_jwt: self.ear_jwt.clone(),
            ear_cose: STANDARD.encode(&self.ear_cose),
            endorsements: STANDARD.encode(self.endorsements.encode()),
            checks: self.appraisal.checks.iter().map(line).collect(),
        }
    }

    /// Why refused; empty if accepted.
    pub fn reasons(&self) -> Vec<&'static str> {
        self.claims
            .reasons
            .iter()
            .map(|reason| reason.as_str())
            .collect()
    }

    /// The verdict's name.
    pub fn verdict(&self) -> &str {
        &self.verdict
    }

    /// The kind of platform, if accepted: what refused evidence says of itself counts for nothing.
    pub fn tee(&self) -> &'static str {
        match self.accepted().map(Appraised::tee) {
            Some(Tee::SevSnp) => "sev-snp",
            Some(Tee::Tdx) => "tdx",
            None => "unknown",
        }
    }

    /// Whether the platform is simulated.
    pub fn sim(&self) -> bool {
        self.claims.sim
    }

    /// When the signed verdict ends.
    pub fn until(&self) -> UnixTime {
        self.claims.exp
    }

    /// What must not go back from now on.
    pub fn floors(&self) -> &Floors {
        &self.appraisal.floors
    }

    /// The vendor's documents that were found here, canonical bytes.
    pub fn endorsements(&self) -> Vec<u8> {
        self.endorsements.encode()
    }

    /// The signed verdict as COSE.
    pub fn ear_cose(&self) -> &[u8] {
        &self.ear_cose
    }

    /// What the evidence showed, or the codes of why it was refused.
    pub fn shown(&self) -> Result<Shown, String> {
        let accepted = self.accepted().ok_or_else(|| self.reasons().join(","))?;
        let statement = accepted.key_statement();
        Ok(Shown {
            chip: Digest::tagged(TAG_CHIP, &[accepted.platform_id()]),
            instance: Digest::tagged(TAG_INSTANCE, &[statement.instance.as_bytes()]),
            known: Known {
                instance: statement.instance,
                earlier: Earlier {
                    report_id: accepted.report_id(),
                    epoch: statement.epoch,
                },
            },
        })
    }

    fn accepted(&self) -> Option<&Appraised> {
        self.appraisal.result.as_ref().ok()
    }
}

fn line(check: &Check) -> CheckLine {
    CheckLine {
        name: check.name.to_owned(),
        reason: check.reason.as_str().to_owned(),
        pass: check.outcome == Outcome::Pass,
        expected: Some(check.expected.clone()),
        got: Some(check.got.clone()),
    }
}
