//! Enclaves on a simulated platform, and a verifier that accepts them.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::config::EnclaveConfig;
use duckblind_attestation::ear::{self, EarClaims, EarVerifyKey};
use duckblind_attestation::policy::fill_development;
use duckblind_attestation::sample;
use duckblind_attestation::simulator::{self, SimulatedSnp};
use duckblind_protocol::http::{AppraisalReply, ChallengeReply};
use duckblind_protocol::ids::{Digest, InstanceId, Nonce, PublicKey};
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee, combined_nonce};

use crate::testing::{Home, TEMPLATE, Verifier};
use crate::{clock, ear_key};

/// RSA keys take seconds: one platform for all tests of the process.
fn platform_dir() -> &'static std::path::Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        simulator::create(dir.path()).unwrap();
        dir
    })
    .path()
}

/// With epochs shorter than a result's life.
fn config() -> EnclaveConfig {
    let mut config = sample::config();
    config.timeouts.epoch_ms = 300_000;
    config
}

/// One boot of an enclave on the simulated platform.
pub(super) struct Enclave {
    platform: SimulatedSnp,
    pub(super) statement: KeyStatement,
}

impl Enclave {
    pub(super) fn boot(instance: u8) -> Self {
        let statement = KeyStatement {
            instance: InstanceId::from_bytes([instance; 32]),
            epoch: 5,
            prev: Some(Digest::of(b"the epoch before")),
            ..sample::statement(Tee::SevSnp, &config(), &sample::release())
        };
        Self {
            platform: SimulatedSnp::open(platform_dir()).unwrap(),
            statement,
        }
    }

    pub(super) fn evidence(&self, nonce: Nonce, audience: Digest) -> String {
        let challenge = Challenge::new(nonce, audience);
        let (config, release) = (config(), sample::release());
        let evidence = sample::evidence(
            &self.platform,
            &self.statement,
            &challenge,
            &config,
            &release,
        )
        .unwrap();
        STANDARD.encode(evidence.encode())
    }

    /// An honest answer to a challenge without a requester's nonce.
    pub(super) fn answer(&self, verifier: &Verifier, challenge: &ChallengeReply) -> String {
        let nonce = combined_nonce(&challenge.verifier_nonce, None);
        self.evidence(nonce, ear::audience(&signer(verifier)))
    }
}

pub(super) fn signer(verifier: &Verifier) -> PublicKey {
    ear_key::read_public(&verifier.home.path().join("ear.pub")).unwrap()
}

pub(super) fn claims(verifier: &Verifier, reply: &AppraisalReply) -> EarClaims {
    let keys = [EarVerifyKey::new(signer(verifier))];
    ear::verify_jwt(&reply.ear_jwt, &keys, clock::Clock::System.now()).unwrap()
}

/// A verifier whose policy accepts this test process as an enclave.
pub(super) async fn accepting(more: &str) -> Verifier {
    let home = Home::new();
    let platform = SimulatedSnp::open(platform_dir()).unwrap();
    let policy = fill_development(
        TEMPLATE,
        &[simulator::roots(platform_dir()).unwrap()],
        &[platform.measurement()],
        &[sample::release().digest()],
    );
    std::fs::write(home.path().join("policy.toml"), policy.unwrap()).unwrap();
    // Certificates of the platform were made just now.
    Verifier::start_at(Arc::new(home), more, clock::Clock::System.now()).await
}
