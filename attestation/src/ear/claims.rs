//! What an EAR says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use duckblind_protocol::cbor;
use duckblind_protocol::ids::{
    Digest, InstanceId, NodeId, Nonce, RandomError, UnixTime, random_bytes,
};
use duckblind_protocol::key_statement::{Tee, combined_nonce};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::EarError;
use super::wire::Wire;
use crate::appraise::{Appraisal, Appraised, Platform};
use crate::measurement::Measurement;
use crate::reason::{Reason, Warning};

/// Seconds by which a verifier's clock may be ahead of ours.
pub const MAX_SKEW_SECONDS: i64 = 60;

/// The tiers of trust of the attestation results draft (AR4SI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum EarStatus {
    /// No claim.
    #[n(0)]
    None,
    /// Accepted, on genuine hardware.
    #[n(2)]
    Affirming,
    /// Accepted with a reservation that one should know.
    #[n(32)]
    Warning,
    /// Refused.
    #[n(96)]
    Contraindicated,
}

impl fmt::Display for EarStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Affirming => "affirming",
            Self::Warning => "warning",
            Self::Contraindicated => "contraindicated",
        })
    }
}

/// The verdict by aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrustVector {
    /// Keys, challenge, instance.
    #[n(0)]
    pub instance_identity: EarStatus,
    /// What the enclave runs with.
    #[n(1)]
    pub configuration: EarStatus,
    /// Measurement and release.
    #[n(2)]
    pub executables: EarStatus,
    /// Chip, firmware and their certificates.
    #[n(4)]
    pub hardware: EarStatus,
}

/// Who judged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct VerifierId {
    /// Who made the verifier.
    #[n(0)]
    pub developer: String,
    /// Which build.
    #[n(1)]
    pub build: String,
}

/// The identifier of one EAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Jti(#[cbor(with = "minicbor::bytes")] [u8; 16]);

impl Jti {
    fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        random_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Jti {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Jti {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Jti {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The accepted enclave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct EnclaveClaims {
    /// Kind of platform.
    #[n(0)]
    pub tee: Tee,
    /// Processor generation, or FMSPC.
    #[n(1)]
    pub generation: String,
    /// Launch measurement.
    #[n(2)]
    pub measurement: Measurement,
    /// SHA-256 of the configuration.
    #[n(3)]
    pub config: Digest,
    /// SHA-256 of the release manifest.
    #[n(4)]
    pub release: Digest,
    /// SHA-256 of the key statement.
    #[n(5)]
    pub key_statement: Digest,
    /// This boot.
    #[n(6)]
    pub instance: InstanceId,
    /// Which of its KEM keys.
    #[n(7)]
    pub epoch: u64,
    /// Report id: one life of one guest. TDX has none.
    #[n(8)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_id: Option<Digest>,
    /// SHA-256 of the signed part of the report.
    #[n(9)]
    pub evidence_body: Digest,
    /// SHA-256 of the KEM key that jobs are sealed to.
    #[n(10)]
    pub kem_key: Digest,
    /// Firmware that the chip key speaks for, by component; the edition of Intel's TCB data.
    #[n(11)]
    pub tcb: BTreeMap<String, u32>,
    /// Intel's word on the platform, such as `UpToDate`.
    #[n(12)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcb_status: Option<String>,
    /// Intel's advisories that apply.
    #[n(13)]
    pub advisories: Vec<String>,
}

impl EnclaveClaims {
    /// What an EAR says of this enclave.
    pub fn of(appraised: &Appraised) -> Self {
        let statement = appraised.key_statement();
        let (generation, tcb, tcb_status, advisories) = match appraised.platform() {
            Platform::Snp(snp) => {
                let tcb = snp.reported_tcb.components();
                (snp.generation.to_string(), tcb.collect(), None, Vec::new())
            }
            Platform::Tdx(tdx) => (
                hex::encode(tdx.fmspc),
                [("evaluation".to_owned(), tdx.tcb_evaluation)].into(),
                Some(tdx.tcb_status.clone()),
                tdx.advisories.clone(),
            ),
        };
        Self {
            tee: appraised.tee(),
            generation,
            measurement: appraised.measurement(),
            config: statement.config,
            release: statement.release,
            key_statement: appraised.key_statement_digest(),
            instance: statement.instance,
            epoch: statement.epoch,
            report_id: appraised.report_id().map(Digest::from_bytes),
            evidence_body: appraised.evidence_body_digest(),
            kem_key: Digest::of(&statement.kem_key),
            tcb,
            tcb_status,
            advisories,
        }
    }
}

/// The claims of one EAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarClaims {
    /// The time of the appraisal.
    pub iat: UnixTime,
    /// The end; not valid from this second on.
    pub exp: UnixTime,
    /// Names this EAR.
    pub jti: Jti,
    /// Who judged.
    pub verifier_id: VerifierId,
    /// The combined nonce that the evidence answers.
    pub nonce: Nonce,
    /// The verifier's part of it.
    pub verifier_nonce: Nonce,
    /// The requester's part, if it asked itself.
    pub requester_nonce: Option<Nonce>,
    /// The verdict. Ask [`EarClaims::is_accepted`].
    pub status: EarStatus,
    /// The verdict by aspect.
    pub trust_vector: TrustVector,
    /// SHA-256 of the policy file.
    pub policy_id: Digest,
    /// SHA-256 of the evidence envelope.
    pub evidence: Digest,
    /// Why refused; empty if accepted.
    pub reasons: Vec<Reason>,
    /// Whether the platform is simulated.
    pub sim: bool,
    /// What one should know although it is accepted.
    pub warnings: Vec<Warning>,
    /// The vendor's documents that were looked at: name and SHA-256.
    pub collateral: BTreeMap<String, Digest>,
    /// First and last second at which all of them hold, if they could be read.
    pub window: Option<(UnixTime, UnixTime)>,
    /// The node that sent the evidence, if one did.
    pub node: Option<NodeId>,
    /// The enclave, if accepted.
    pub enclave: Option<EnclaveClaims>,
}

/// What a verifier adds to an appraisal to make an EAR of it.
#[derive(Clone, Debug)]
pub struct Context {
    /// Seconds that it may live.
    pub lifetime_seconds: u32,
    /// Who judged.
    pub verifier_id: VerifierId,
    /// The verifier's part of the nonce.
    pub verifier_nonce: Nonce,
    /// The requester's part, if it asked itself.
    pub requester_nonce: Option<Nonce>,
    /// The node that sent the evidence, if one did.
    pub node: Option<NodeId>,
}

impl EarClaims {
    /// What `appraisal` found. It ends with `lifetime_seconds`, the chip key's certificate or the
    /// longest possible epoch of the KEM key, whichever is first.
    pub fn new(appraisal: &Appraisal, context: Context) -> Result<Self, RandomError> {
        let (reasons, accepted) = match &appraisal.result {
            Ok(accepted) => (Vec::new(), Some(accepted)),
            Err(rejected) => (rejected.reasons.clone(), None),
        };
        let mut exp = appraisal
            .at
            .0
            .saturating_add(context.lifetime_seconds.into());
        if let Some(accepted) = accepted {
            let epoch = i64::from(accepted.config().timeouts.epoch_ms / 1000);
            exp = exp
                .min(accepted.valid_until().0)
                .min(appraisal.at.0.saturating_add(epoch));
        }
        let warnings = appraisal.warnings.clone();
        let trust_vector = trust_vector(&reasons, &warnings);
        let collateral = appraisal.collateral.digests.iter();
        Ok(Self {
            iat: appraisal.at,
            exp: UnixTime(exp),
            jti: Jti::random()?,
            verifier_id: context.verifier_id,
            nonce: combined_nonce(&context.verifier_nonce, context.requester_nonce.as_ref()),
            verifier_nonce: context.verifier_nonce,
            requester_nonce: context.requester_nonce,
            status: status(accepted.is_some(), &warnings),
            trust_vector,
            policy_id: appraisal.policy_id,
            evidence: appraisal.evidence_digest,
            reasons,
            sim: appraisal.sim,
            warnings,
            collateral: collateral
                .map(|(name, digest)| ((*name).to_owned(), *digest))
                .collect(),
            window: appraisal.collateral.window,
            node: context.node,
            enclave: accepted.map(EnclaveClaims::of),
        })
    }

    /// Whether the enclave was accepted, with or without a warning.
    pub const fn is_accepted(&self) -> bool {
        self.enclave.is_some()
    }

    /// The bytes that both encodings stand for: deterministic CBOR with the claim numbers of the
    /// profile.
    pub fn canonical(&self) -> Vec<u8> {
        cbor::encode(&Wire::from(self.clone()))
    }

    /// SHA-256 of the canonical bytes: the name of this EAR.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }

    /// Compares every claim about the enclave with an appraisal of one's own.
    pub fn agrees_with(&self, own: &Appraised) -> Result<(), EarError> {
        let Some(claimed) = &self.enclave else {
            return Err(EarError::Differs("verdict"));
        };
        let enclave = EnclaveClaims::of(own);
        for (same, what) in [
            (*claimed == enclave, "enclave"),
            (self.sim == own.sim(), "sim"),
            (self.policy_id.ct_eq(&own.policy_id()), "policy"),
            (self.evidence.ct_eq(&own.evidence_digest()), "evidence"),
            (self.nonce == own.challenge().nonce, "nonce"),
        ] {
            if !same {
                return Err(EarError::Differs(what));
            }
        }
        Ok(())
    }

    /// What must hold of every EAR, and whether `now` is within its life.
    pub(super) fn checked(self, now: UnixTime) -> Result<Self, EarError> {
        let accepted = self.is_accepted();
        let nonce = combined_nonce(&self.verifier_nonce, self.requester_nonce.as_ref());
        for (holds, what) in [
            (accepted == self.reasons.is_empty(), "verdict and reasons"),
            (
                self.status == status(accepted, &self.warnings),
                "verdict and status",
            ),
            (
                self.trust_vector == trust_vector(&self.reasons, &self.warnings),
                "trust vector",
            ),
            (
                self.sim == self.warnings.contains(&Warning::Simulated),
                "sim and warnings",
            ),
            (self.nonce == nonce, "nonce and its parts"),
            (self.iat <= self.exp, "times"),
        ] {
            if !holds {
                return Err(EarError::Inconsistent(what));
            }
        }
        if self.iat.0 > now.0.saturating_add(MAX_SKEW_SECONDS) {
            return Err(EarError::NotYetValid { iat: self.iat, now });
        }
        if now >= self.exp {
            return Err(EarError::Expired { exp: self.exp, now });
        }
        Ok(self)
    }
}

fn status(accepted: bool, warnings: &[Warning]) -> EarStatus {
    match (accepted, warnings) {
        (false, _) => EarStatus::Contraindicated,
        (true, []) => EarStatus::Affirming,
        (true, _) => EarStatus::Warning,
    }
}

fn trust_vector(reasons: &[Reason], warnings: &[Warning]) -> TrustVector {
    let mut vector = TrustVector {
        instance_identity: EarStatus::Affirming,
        configuration: EarStatus::Affirming,
        executables: EarStatus::Affirming,
        // All that one can be warned of is about hardware.
        hardware: status(true, warnings),
    };
    for reason in reasons {
        let aspect = match reason {
            Reason::Measurement | Reason::EventLog => &mut vector.executables,
            Reason::Config => &mut vector.configuration,
            Reason::Binding | Reason::Nonce | Reason::Platform => &mut vector.instance_identity,
            Reason::Format | Reason::Version | Reason::Limit => {
                // Nothing can be said of anything.
                vector.instance_identity = EarStatus::Contraindicated;
                vector.configuration = EarStatus::Contraindicated;
                vector.executables = EarStatus::Contraindicated;
                &mut vector.hardware
            }
            _ => &mut vector.hardware,
        };
        *aspect = EarStatus::Contraindicated;
    }
    vector
}
