//! From evidence to a key that jobs may be sealed to: the stored evidence of a host, or fresh
//! evidence for a nonce of our own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use duckblind_attestation::check::Check;
use duckblind_attestation::ear;
use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::frames::{ChallengeRequest, Kind};
use duckblind_protocol::http::NodeInfo;
use duckblind_protocol::ids::{NodeId, Nonce, PublicKey};
use duckblind_protocol::key_statement::nonce_commitment;
use quinn::Connection;

use super::error::ClientError;
use super::link;
use super::verifier::VerifierClient;
use crate::clock;
use crate::error::RequesterError;
use crate::trust::{Judged, Offer, Trust, TrustError, UnloggedKey, floors, judge};

/// A key together with everything that speaks for it.
#[derive(Debug)]
pub struct Attested {
    /// What jobs are sealed to.
    pub key: UnloggedKey,
    /// Every check of our own appraisal.
    pub checks: Vec<Check>,
    /// What was presented.
    pub presented: Presented,
}

/// Evidence and attestation result as they came, for whoever wants to judge them again.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The evidence envelope.
    pub evidence: Vec<u8>,
    /// The vendor's documents that the verifier had beside those in the evidence.
    pub endorsements: Endorsements,
    /// The attestation result as a JWT.
    pub ear_jwt: String,
    /// The same claims as COSE.
    pub ear_cose: Vec<u8>,
    /// Our own part of the nonce, for fresh evidence.
    pub requester_nonce: Option<Nonce>,
    /// The node that the verifier keeps it for; none if the enclave itself was asked.
    pub node: Option<NodeId>,
}

impl Presented {
    /// As the trust module takes it.
    pub fn offer(&self) -> Offer<'_> {
        Offer {
            evidence: &self.evidence,
            endorsements: &self.endorsements,
            ear_jwt: Some(&self.ear_jwt),
            ear_cose: Some(&self.ear_cose),
            requester_nonce: self.requester_nonce.as_ref(),
            node: self.node.as_ref(),
        }
    }

    /// Judges it now, against the floors kept beside the trust file, and raises them.
    pub fn judge(&self, trust: &Trust) -> Result<Judged, RequesterError> {
        let kept = floors::load(trust)?;
        let judged = judge(trust, &self.offer(), &kept, clock::now())?;
        if *judged.floors() != kept {
            floors::keep(trust, judged.floors())?;
        }
        Ok(judged)
    }

    /// Judges it, and makes a key of it that secrets may be sealed to.
    pub fn admit(self, trust: &Trust) -> Result<Attested, RequesterError> {
        // Before any judgement: without a log, only development trust may go on.
        let development = trust.development().ok_or(TrustError::NoLog)?;
        let judged = self.judge(trust)?;
        let checks = judged.checks().to_vec();
        Ok(Attested {
            key: UnloggedKey::new(judged, development),
            checks,
            presented: self,
        })
    }
}

/// The evidence that the verifier keeps of a host, with the attestation result.
pub async fn stored(
    verifier: &VerifierClient,
    node: &NodeId,
) -> Result<(NodeInfo, Presented), RequesterError> {
    let found = verifier.node_attestation(node).await?;
    let decode = |text: &str| {
        BASE64
            .decode(text)
            .map_err(|_| ClientError::VerifierAnswer("base64"))
    };
    let presented = Presented {
        evidence: decode(&found.evidence)?,
        endorsements: endorsements(&found.endorsements)?,
        ear_cose: decode(&found.ear_cose)?,
        ear_jwt: found.ear_jwt,
        requester_nonce: None,
        node: Some(*node),
    };
    Ok((found.node, presented))
}

fn endorsements(text: &str) -> Result<Endorsements, ClientError> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .and_then(|bytes| Endorsements::decode(&bytes).ok())
        .ok_or(ClientError::VerifierAnswer("endorsements"))
}

/// Fresh evidence, for a nonce that is half our own.
pub async fn fresh(
    verifier: &VerifierClient,
    trust: &Trust,
    connection: &Connection,
) -> Result<Presented, RequesterError> {
    let mut refused = None;
    // Evidence names its audience before the verifier shows which of the pinned keys it signs
    // with; with more than one, all may have to be tried.
    for signer in trust.ear_signers() {
        let presented = fresh_for(verifier, connection, signer).await?;
        match presented.judge(trust) {
            Err(RequesterError::Admit(e)) if e.is_other_audience() => {
                refused = Some(RequesterError::Admit(e));
            }
            _ => return Ok(presented),
        }
    }
    Err(refused.unwrap_or(RequesterError::Trust(TrustError::Empty("EAR signer"))))
}

async fn fresh_for(
    verifier: &VerifierClient,
    connection: &Connection,
    signer: &PublicKey,
) -> Result<Presented, RequesterError> {
    let own = Nonce::random().map_err(|e| ClientError::Tls(e.to_string()))?;
    let challenge = verifier.challenge(Some(nonce_commitment(&own))).await?;
    let request = ChallengeRequest {
        v: duckblind_protocol::handshake::VERSION,
        verifier_nonce: challenge.verifier_nonce,
        requester_nonce: Some(own),
        audience: ear::audience(signer),
    };
    let (mut sender, mut receiver) = link::open(connection).await?;
    let question = request.encode();
    let frame = link::ask(&mut sender, &mut receiver, Kind::Challenge, &question).await?;
    sender.finish();
    if frame.kind != Kind::Evidence {
        return Err(ClientError::Frame(format!("{:?} instead of evidence", frame.kind)).into());
    }
    let reply = verifier
        .appraise(challenge.id, &frame.payload, Some(own))
        .await?;
    Ok(Presented {
        evidence: frame.payload,
        endorsements: endorsements(&reply.endorsements)?,
        ear_jwt: reply.ear_jwt,
        ear_cose: BASE64
            .decode(&reply.ear_cose)
            .map_err(|_| ClientError::VerifierAnswer("base64"))?,
        requester_nonce: Some(own),
        node: None,
    })
}
