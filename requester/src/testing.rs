//! A simulated platform, a verifier's key and an enclave's key, for tests of whom to trust.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::OnceLock;

use duckblind_attestation::appraise::{Expected, Floors, Inputs, appraise};
use duckblind_attestation::config::EnclaveConfig;
use duckblind_attestation::ear::{Context, EarClaims, EarSigner, VerifierId, sign_cose, sign_jwt};
use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::policy::{Policy, fill_development};
use duckblind_attestation::release::ReleaseManifest;
use duckblind_attestation::sample;
use duckblind_attestation::simulator::{self, SimulatedSnp};
use duckblind_protocol::ids::{Digest, Nonce, PublicKey, UnixTime};
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::key_file::format_public;
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee, combined_nonce};
use ed25519_dalek::SigningKey;

use crate::client::Presented;
use crate::clock;
use crate::trust::Trust;

const TEMPLATE: &str = include_str!("../../policies/development.toml");

/// The platforms of all tests of this process: RSA keys take seconds.
fn platform_dir() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        simulator::create(dir.path()).unwrap();
        dir
    });
    dir.path()
}

fn platform() -> &'static SimulatedSnp {
    static PLATFORM: OnceLock<SimulatedSnp> = OnceLock::new();
    PLATFORM.get_or_init(|| SimulatedSnp::open(platform_dir()).unwrap())
}

pub(crate) fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The enclave's key of this epoch.
pub(crate) fn kem() -> &'static KemSecret {
    static KEM: OnceLock<KemSecret> = OnceLock::new();
    KEM.get_or_init(|| KemSecret::generate().unwrap())
}

/// Everything that a requester is shown, in parts that a test can change.
pub(crate) struct Scene {
    pub(crate) config: EnclaveConfig,
    pub(crate) release: ReleaseManifest,
    pub(crate) instance: SigningKey,
    /// The key that the evidence is made for.
    pub(crate) audience: PublicKey,
    /// The key that signs the attestation result.
    pub(crate) signer: SigningKey,
    pub(crate) verifier_nonce: Nonce,
    pub(crate) requester_nonce: Option<Nonce>,
    /// The policy that the verifier and the requester hold.
    pub(crate) policy: String,
    /// When the verifier judges.
    pub(crate) at: UnixTime,
    pub(crate) lifetime_seconds: u32,
}

impl Scene {
    /// One that is accepted by [`Scene::trust`].
    pub(crate) fn good() -> Self {
        let release = ReleaseManifest {
            v: 1,
            binary: Digest::of(b"binary"),
            commit: "0123456789abcdef".into(),
            lockfile: Digest::of(b"lock"),
            rustc: "rustc 1.95.0".into(),
        };
        let policy = fill_development(
            TEMPLATE,
            &[simulator::roots(platform_dir()).unwrap()],
            &[platform().measurement()],
            &[release.digest()],
        )
        .unwrap();
        let signer = signing_key(1);
        Self {
            config: sample::config(),
            release,
            instance: signing_key(2),
            audience: PublicKey::of(&signer),
            signer,
            verifier_nonce: Nonce::from_bytes([3; 32]),
            requester_nonce: None,
            policy,
            at: clock::now(),
            lifetime_seconds: 600,
        }
    }

    pub(crate) fn statement(&self) -> KeyStatement {
        KeyStatement {
            kem_key: kem().public_key().to_vec(),
            instance_key: PublicKey::of(&self.instance),
            ..sample::statement(Tee::SevSnp, &self.config, &self.release)
        }
    }

    fn nonce(&self) -> Nonce {
        combined_nonce(&self.verifier_nonce, self.requester_nonce.as_ref())
    }

    /// What the enclave answers.
    pub(crate) fn evidence(&self) -> Vec<u8> {
        let audience = duckblind_attestation::ear::audience(&self.audience);
        let challenge = Challenge::new(self.nonce(), audience);
        let statement = self.statement();
        sample::evidence(
            platform(),
            &statement,
            &challenge,
            &self.config,
            &self.release,
        )
        .unwrap()
        .encode()
    }

    /// What the verifier claims of some evidence.
    pub(crate) fn claims(&self, evidence: &[u8]) -> EarClaims {
        let policy = Policy::parse(&self.policy).unwrap();
        let appraisal = appraise(&Inputs {
            evidence,
            endorsements: &Endorsements::default(),
            policy: &policy,
            expected: Expected {
                nonce: self.nonce(),
                audience: duckblind_attestation::ear::audience(&self.audience),
                earlier_report_id: None,
                earlier_epoch: None,
            },
            floors: &Floors::default(),
            now: self.at,
        });
        let context = Context {
            lifetime_seconds: self.lifetime_seconds,
            verifier_id: VerifierId {
                developer: "tests".into(),
                build: "0".into(),
            },
            verifier_nonce: self.verifier_nonce,
            requester_nonce: self.requester_nonce,
            node: None,
        };
        EarClaims::new(&appraisal, context).unwrap()
    }

    /// Evidence with claims, signed.
    pub(crate) fn present(&self, evidence: Vec<u8>, claims: &EarClaims) -> Presented {
        let signer = EarSigner::new(self.signer.clone());
        Presented {
            evidence,
            endorsements: Endorsements::default(),
            ear_jwt: sign_jwt(claims, &signer).unwrap(),
            ear_cose: sign_cose(claims, &signer).unwrap(),
            requester_nonce: self.requester_nonce,
            node: None,
        }
    }

    /// What an honest verifier and an honest enclave show.
    pub(crate) fn presented(&self) -> Presented {
        let evidence = self.evidence();
        let claims = self.claims(&evidence);
        self.present(evidence, &claims)
    }

    /// A trust file for this scene, in `dir`: pins the keys of seeds 1 and 9.
    pub(crate) fn trust(&self, dir: &Path, simulator: bool) -> Trust {
        let text = self.trust_text(dir, simulator, "http://127.0.0.1:1");
        Trust::parse(&text, &dir.join("trust.toml")).unwrap()
    }
    /// Its text; the policy is written beside it.
    pub(crate) fn trust_text(&self, dir: &Path, simulator: bool, verifier: &str) -> String {
        std::fs::write(dir.join("policy.toml"), &self.policy).unwrap();
        format!(
            "version = 1\ndevelopment = true\nsimulator = {simulator}\nhosts = \"registry\"\n\
             [verifier]\nurl = \"{verifier}\"\n\
             [[ear_signers]]\nkey = \"{}\"\n[[ear_signers]]\nkey = \"{}\"\n\
             [[policies]]\npath = \"policy.toml\"\nsha256 = \"{}\"\n",
            format_public(&PublicKey::of(&signing_key(9))).trim(),
            format_public(&PublicKey::of(&signing_key(1))).trim(),
            Digest::of(self.policy.as_bytes()),
        )
    }
}
