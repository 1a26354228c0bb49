//! The claims as they are written: names and numbers of the EAR profile, ours in a map of their
//! own.

use std::collections::BTreeMap;

use duckblind_protocol::ids::{Digest, NodeId, Nonce, UnixTime};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use super::{EarClaims, EarError, EarStatus, EnclaveClaims, Jti, TrustVector, VerifierId};
use crate::reason::{Reason, Warning};

const PROFILE: &str = "tag:ietf.org,2026:rats/ear#04";
const SUBMODULE: &str = "cpu";

/// Claims of an EAR. Numbers: RFC 8392, RFC 9711, the EAR draft; ours from the private range.
#[derive(Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    #[n(4)]
    exp: UnixTime,
    #[n(6)]
    iat: UnixTime,
    #[n(7)]
    jti: Jti,
    #[n(10)]
    eat_nonce: Nonce,
    #[n(265)]
    eat_profile: String,
    #[n(266)]
    submods: Submods,
    #[n(1004)]
    #[serde(rename = "ear.verifier-id")]
    verifier_id: VerifierId,
    #[n(-70000)]
    duckblind: Private,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Submods {
    cpu: Submodule,
}

#[derive(Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
struct Submodule {
    #[n(1000)]
    #[serde(rename = "ear.status")]
    status: EarStatus,
    #[n(1001)]
    #[serde(rename = "ear.trustworthiness-vector")]
    trust_vector: TrustVector,
    #[n(1003)]
    #[serde(rename = "ear.appraisal-policy-id")]
    policy_id: Digest,
}

#[derive(Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
struct Private {
    #[n(0)]
    verifier_nonce: Nonce,
    #[n(1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    requester_nonce: Option<Nonce>,
    #[n(2)]
    evidence: Digest,
    #[n(3)]
    reasons: Vec<Reason>,
    /// Checks that were left out. There are none, ever; the claim says so.
    #[n(4)]
    skipped: Vec<String>,
    #[n(5)]
    sim: bool,
    #[n(6)]
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
    #[n(7)]
    #[serde(skip_serializing_if = "Option::is_none")]
    enclave: Option<EnclaveClaims>,
    #[n(8)]
    warnings: Vec<Warning>,
    #[n(9)]
    collateral: BTreeMap<String, Digest>,
    #[n(10)]
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<(UnixTime, UnixTime)>,
}

/// Submodules are keyed by text, in CBOR too.
impl<C> Encode<C> for Submods {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(1)?.str(SUBMODULE)?;
        self.cpu.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Submods {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.map()? != Some(1) || d.str()? != SUBMODULE {
            return Err(minicbor::decode::Error::message("not the one submodule"));
        }
        Ok(Self {
            cpu: Submodule::decode(d, ctx)?,
        })
    }
}

impl From<EarClaims> for Wire {
    fn from(claims: EarClaims) -> Self {
        Self {
            exp: claims.exp,
            iat: claims.iat,
            jti: claims.jti,
            eat_nonce: claims.nonce,
            eat_profile: PROFILE.into(),
            submods: Submods {
                cpu: Submodule {
                    status: claims.status,
                    trust_vector: claims.trust_vector,
                    policy_id: claims.policy_id,
                },
            },
            verifier_id: claims.verifier_id,
            duckblind: Private {
                verifier_nonce: claims.verifier_nonce,
                requester_nonce: claims.requester_nonce,
                evidence: claims.evidence,
                reasons: claims.reasons,
                skipped: Vec::new(),
                sim: claims.sim,
                warnings: claims.warnings,
                collateral: claims.collateral,
                window: claims.window,
                node: claims.node,
                enclave: claims.enclave,
            },
        }
    }
}

impl TryFrom<Wire> for EarClaims {
    type Error = EarError;

    fn try_from(wire: Wire) -> Result<Self, EarError> {
        if wire.eat_profile != PROFILE {
            return Err(EarError::Malformed("another profile"));
        }
        if !wire.duckblind.skipped.is_empty() {
            return Err(EarError::Inconsistent("checks were skipped"));
        }
        Ok(Self {
            iat: wire.iat,
            exp: wire.exp,
            jti: wire.jti,
            verifier_id: wire.verifier_id,
            nonce: wire.eat_nonce,
            verifier_nonce: wire.duckblind.verifier_nonce,
            requester_nonce: wire.duckblind.requester_nonce,
            status: wire.submods.cpu.status,
            trust_vector: wire.submods.cpu.trust_vector,
            policy_id: wire.submods.cpu.policy_id,
            evidence: wire.duckblind.evidence,
            reasons: wire.duckblind.reasons,
            sim: wire.duckblind.sim,
            warnings: wire.duckblind.warnings,
            collateral: wire.duckblind.collateral,
            window: wire.duckblind.window,
            node: wire.duckblind.node,
            enclave: wire.duckblind.enclave,
        })
    }
}
