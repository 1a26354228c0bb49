//! What a secret may be sealed to. The only file of the project that names raw sealing.

use duckblind_attestation::appraise::Appraised;
use duckblind_attestation::config::EnclaveConfig;
use duckblind_protocol::body::QuerySection;
use duckblind_protocol::hazmat::{self, RequesterSession, SealError};
use duckblind_protocol::ids::{Digest, JobId, PublicKey, Ticket, UnixTime};
use duckblind_protocol::order::{Class, Limits, OrderDraft, OrderInput};
use duckblind_protocol::sealed_job::SealedJob;
use ed25519_dalek::SigningKey;

use super::ear::VerifiedEar;
use super::file::DevelopmentTrust;
use super::judge::Judged;

mod private {
    /// Keeps [`super::SealTarget`] to this file.
    pub trait Sealed {
        fn kem_key(&self) -> &[u8];
        fn statement(&self) -> super::Digest;
    }
}

/// A key that sensitive data may be sealed to. Nothing outside this module can become one.
pub trait SealTarget: private::Sealed {}

/// A KEM key of an enclave whose evidence was appraised here and whose attestation result is
/// signed by a pinned key, but whose appraisal is in no log. Development only.
#[derive(Debug)]
pub struct UnloggedKey {
    appraised: Appraised,
    ear: VerifiedEar,
}

impl UnloggedKey {
    /// Needs the proof that the trust file is one for development.
    pub fn new(judged: Judged, _: &DevelopmentTrust) -> Self {
        let (appraised, ear) = judged.into_parts();
        Self { appraised, ear }
    }

    /// What was appraised.
    pub fn appraised(&self) -> &Appraised {
        &self.appraised
    }

    /// The attestation result.
    pub fn ear(&self) -> &VerifiedEar {
        &self.ear
    }

    /// Digest of the key statement.
    pub fn key_statement(&self) -> Digest {
        self.appraised.key_statement_digest()
    }

    /// Signs tickets, acceptances and receipts of this enclave.
    pub fn instance_key(&self) -> &PublicKey {
        &self.appraised.key_statement().instance_key
    }

    /// What the enclave runs with.
    pub fn config(&self) -> &EnclaveConfig {
        self.appraised.config()
    }

    /// Whether the platform is a simulated one, as decided from the chain's root.
    pub fn sim(&self) -> bool {
        self.appraised.sim()
    }

    /// Whether the key may still be used at `now`.
    pub fn usable_at(&self, now: UnixTime) -> bool {
        now < self.ear.claims().exp
    }
}

impl private::Sealed for UnloggedKey {
    fn kem_key(&self) -> &[u8] {
        &self.appraised.key_statement().kem_key
    }
    fn statement(&self) -> Digest {
        self.appraised.key_statement_digest()
    }
}

impl SealTarget for UnloggedKey {}

/// One job over sensitive data, ready to be sealed. Its class is [`Class::L2`], always.
pub struct SensitiveJob<'a> {
    /// Fresh for every attempt.
    pub job: JobId,
    /// From the enclave's hello.
    pub ticket: Ticket,
    /// What it may use.
    pub limits: Limits,
    /// Milliseconds after ticket issue.
    pub expiry_ms: u32,
    /// The tables, as the supervisor sees them.
    pub inputs: &'a [OrderInput],
    /// What only the query process sees.
    pub query: &'a QuerySection,
    /// Signs the order.
    pub signer: &'a SigningKey,
}

/// Seals a job over sensitive data to an enclave that may have it.
pub fn seal_sensitive(
    job: &SensitiveJob<'_>,
    target: &impl SealTarget,
) -> Result<(SealedJob, RequesterSession), SealError> {
    let draft = OrderDraft {
        job: job.job,
        ticket: job.ticket,
        class: Class::L2,
        limits: job.limits,
        expiry_ms: job.expiry_ms,
        endpoints: Vec::new(),
        inputs: job.inputs.to_vec(),
    };
    hazmat::seal(
        target.kem_key(),
        &target.statement(),
        draft,
        job.query,
        job.signer,
    )
}
