//! The saved receipt: what proves, later and offline, who ran a job and how it ended.
//!
//! It bundles the evidence (with its endorsements), the attestation result, the policy and the
//! signed job receipt. None of its keys is trusted for being in it: it is judged under the trust
//! file of whoever checks it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use duckblind_attestation::appraise::Floors;
use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, NodeId, Nonce, UnixTime};
use duckblind_protocol::receipt::{JobReceipt, ReceiptError, SignedReceipt};
use serde::{Deserialize, Serialize};

use crate::client::{Attested, Presented};
use crate::error::RequesterError;
use crate::files::{self, Pending};
use crate::trust::{Judged, Trust, judge};

/// The one schema.
pub const SCHEMA: &str = "duckblind/saved-receipt/v2";
/// Bytes that a saved receipt may have.
pub const MAX_SAVED: u64 = 4 << 20;

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedReceipt {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The host that relayed the job; not proven.
    pub node: NodeId,
    /// Base64 of the evidence envelope.
    pub evidence: String,
    /// Base64 of the vendor's documents that the verifier had beside those in the evidence.
    pub endorsements: String,
    /// The attestation result as a JWT.
    pub ear_jwt: String,
    /// The same claims as COSE, base64.
    pub ear_cose: String,
    /// The requester's part of the nonce, for fresh evidence.
    pub requester_nonce: Option<Nonce>,
    /// The policy's text.
    pub policy: String,
    /// Base64 of the signed job receipt.
    pub job_receipt: String,
}

/// A saved receipt that proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Not such a file.
    #[error("this is not a saved receipt: {0}")]
    Malformed(String),
    /// Of another schema.
    #[error("unknown schema of a saved receipt")]
    Schema(String),
    /// The policy in it is not the one that the attestation result names.
    #[error("the saved policy is not the one of the attestation result")]
    Policy {
        /// As the result names it.
        expected: Digest,
        /// As it is.
        got: Digest,
    },
    /// The job receipt is not signed by the attested key.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The job receipt is about other keys than the evidence.
    #[error("the job receipt does not belong to the evidence: {0}")]
    Foreign(&'static str),
}

impl Coded for SavedError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "DB-REQ-080",
            Self::Schema(_) => "DB-REQ-081",
            Self::Policy { .. } => "DB-REQ-082",
            Self::Receipt(e) => e.code(),
            Self::Foreign(_) => "DB-REQ-083",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Malformed(_) => Exit::Malformed,
            Self::Schema(_) => Exit::Unsupported,
            Self::Receipt(e) => e.exit(),
            _ => Exit::Rejected,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Schema(_) => Some(SCHEMA.into()),
            Self::Policy { expected, .. } => Some(format!("sha256 {expected}")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::Schema(got) => Some(got.clone()),
            Self::Policy { got, .. } => Some(format!("sha256 {got}")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Schema(_) => Some("update duckblind".into()),
            Self::Malformed(_) => {
                Some("saved receipts are written by `duckblind run --receipt FILE`".into())
            }
            _ => Some("the file was changed, or put together from different jobs".into()),
        }
    }
}

/// A saved receipt that holds.
#[derive(Debug)]
pub struct VerifiedReceipt {
    /// The enclave, judged at the time of the attestation result.
    pub judged: Judged,
    /// How the job ended.
    pub receipt: JobReceipt,
    /// The time it was judged at: the attestation result's own. No log proves it yet.
    pub at: UnixTime,
}

impl SavedReceipt {
    /// Bundles what speaks for one job.
    pub fn new(
        trust: &Trust,
        node: &NodeId,
        attested: &Attested,
        receipt: &SignedReceipt,
    ) -> Result<Self, RequesterError> {
        let policy_id = attested.key.appraised().policy_id();
        let accepted = trust.policy(&policy_id).ok_or(SavedError::Malformed(
            "its policy is not in the trust file".into(),
        ))?;
        let presented = &attested.presented;
        Ok(Self {
            schema: SCHEMA.into(),
            node: *node,
            evidence: BASE64.encode(&presented.evidence),
            endorsements: BASE64.encode(presented.endorsements.encode()),
            ear_jwt: presented.ear_jwt.clone(),
            ear_cose: BASE64.encode(&presented.ear_cose),
            requester_nonce: presented.requester_nonce,
            policy: accepted.text.clone(),
            job_receipt: BASE64.encode(receipt.encode()),
        })
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, RequesterError> {
        Self::parse(&files::read_bytes(path, MAX_SAVED)?)
    }

    /// From JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequesterError> {
        let saved: Self = serde_json::from_slice(bytes)
            .map_err(|e| SavedError::Malformed(format!("line {}: {e}", e.line())))?;
        if saved.schema != SCHEMA {
            return Err(SavedError::Schema(saved.schema).into());
        }
        Ok(saved)
    }

    /// Writes a file, mode 0600, replacing an older one.
    pub fn save(&self, path: &Path) -> Result<(), RequesterError> {
        let (place, file) = Pending::at(path)?;
        self.save_to(place, file)
    }

    /// Writes a file whose place was taken before.
    pub fn save_to(&self, place: Pending, mut file: File) -> Result<(), RequesterError> {
        let text =
            serde_json::to_string_pretty(self).map_err(|e| SavedError::Malformed(e.to_string()))?;
        file.write_all(format!("{text}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|source| place.cannot_be_written(source))?;
        Ok(place.place()?)
    }

    /// What was presented for the enclave.
    pub fn presented(&self) -> Result<Presented, RequesterError> {
        Ok(Presented {
            evidence: bytes("evidence", &self.evidence)?,
            endorsements: Endorsements::decode(&bytes("endorsements", &self.endorsements)?)
                .map_err(|_| SavedError::Malformed("endorsements are not canonical".into()))?,
            ear_jwt: self.ear_jwt.clone(),
            ear_cose: bytes("ear_cose", &self.ear_cose)?,
            requester_nonce: self.requester_nonce,
            node: Some(self.node),
        })
    }

    /// Judges everything again, at the time of the attestation result. Needs no network.
    pub fn verify(&self, trust: &Trust) -> Result<VerifiedReceipt, RequesterError> {
        let at = issued_at(&self.ear_jwt)?;
        // What was good then stays so: floors of today do not count.
        let judged = judge(trust, &self.presented()?.offer(), &Floors::default(), at)?;
        let named = judged.appraised().policy_id();
        let carried = Digest::of(self.policy.as_bytes());
        if !carried.ct_eq(&named) {
            return Err(SavedError::Policy {
                expected: named,
                got: carried,
            }
            .into());
        }
        let signed = SignedReceipt::decode(&bytes("job_receipt", &self.job_receipt)?)
            .map_err(|e| SavedError::Receipt(e.into()))?;
        let statement = judged.appraised().key_statement();
        let receipt = signed
            .verify(&statement.instance_key)
            .map_err(SavedError::Receipt)?;
        if receipt.key_statement != judged.appraised().key_statement_digest() {
            return Err(SavedError::Foreign("key statement").into());
        }
        if receipt.sim != judged.appraised().sim() {
            return Err(SavedError::Foreign("sim").into());
        }
        Ok(VerifiedReceipt {
            judged,
            receipt,
            at,
        })
    }
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, SavedError> {
    BASE64
        .decode(text)
        .map_err(|_| SavedError::Malformed(format!("{field} is not base64")))
}

/// The time that an attestation result gives itself. Read before its signature is checked, and
/// used for nothing but as the time to check at: the signature covers it.
fn issued_at(jwt: &str) -> Result<UnixTime, SavedError> {
    #[derive(Deserialize)]
    struct Times {
        iat: i64,
    }
    let malformed = || SavedError::Malformed("ear_jwt is not a JWT".into());
    let payload = jwt.split('.').nth(1).ok_or_else(malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
    let times: Times = serde_json::from_slice(&payload).map_err(|_| malformed())?;
    Ok(UnixTime(times.iat))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_result_is_read_from_its_payload() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"iat":1700000000,"exp":1700000600}"#);
        let jwt = format!("e30.{payload}.c2ln");
        assert_eq!(issued_at(&jwt).unwrap(), UnixTime(1_700_000_000));
        assert!(issued_at("e30").is_err());
        assert!(issued_at("e30.!.x").is_err());
    }

    #[test]
    fn other_files_are_no_receipts() {
        assert_eq!(SavedReceipt::parse(b"{}").unwrap_err().code(), "DB-REQ-080");
        let saved = SavedReceipt {
            schema: "duckblind/saved-receipt/v3".into(),
            node: NodeId::from_bytes([0; 32]),
            evidence: String::new(),
            endorsements: String::new(),
            ear_jwt: String::new(),
            ear_cose: String::new(),
            requester_nonce: None,
            policy: String::new(),
            job_receipt: String::new(),
        };
        let text = serde_json::to_string(&saved).unwrap();
        assert_eq!(
            SavedReceipt::parse(text.as_bytes()).unwrap_err().exit(),
            Exit::Unsupported
        );
        let extra = text.replacen('{', "{\"x\":1,", 1);
        assert_eq!(
            SavedReceipt::parse(extra.as_bytes()).unwrap_err().code(),
            "DB-REQ-080"
        );
    }
}

#[cfg(all(test, feature = "simulator"))]
#[path = "receipt_tests.rs"]
mod scene_tests;
