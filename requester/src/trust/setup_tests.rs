//! Making and changing trust files.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::coded::Coded as _;

use super::*;
use crate::testing::{Scene, signing_key};

struct Work {
    dir: tempfile::TempDir,
}

impl Work {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for seed in [1, 2] {
            let key = PublicKey::of(&signing_key(seed));
            let path = dir.path().join(format!("ear{seed}.pub"));
            std::fs::write(path, key_file::format_public(&key)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self) -> Result<Trust, TrustError> {
        create(
            &self.path("trust"),
            &NewTrust {
                development: true,
                simulator: true,
                hosts: HostPinning::Registry,
                verifier: "http://127.0.0.1:1".into(),
                verifier_ca: None,
                ear_signers: vec![self.path("ear1.pub")],
                policies: vec![("policy.toml".into(), Scene::good().policy)],
            },
        )
    }
}

#[test]
fn a_new_file_holds_and_is_never_overwritten() {
    let work = Work::new();
    let trust = work.create().unwrap();
    assert_eq!(trust.ear_signers(), [PublicKey::of(&signing_key(1))]);
    assert!(Trust::load(&work.path("trust/trust.toml")).is_ok());
    assert_eq!(work.create().unwrap_err().code(), "DB-REQ-003");
}

#[test]
fn signers_come_and_go_but_one_stays() {
    let work = Work::new();
    work.create().unwrap();
    let path = work.path("trust/trust.toml");
    let add = Change {
        add_signers: vec![work.path("ear2.pub")],
        ..Change::default()
    };
    assert_eq!(update(&path, &add).unwrap().ear_signers().len(), 2);
    assert_eq!(update(&path, &add).unwrap_err().code(), "DB-REQ-015");
    let gone = |seed| Change {
        remove_signers: vec![
            key_file::format_public(&PublicKey::of(&signing_key(seed)))
                .trim()
                .to_owned(),
        ],
        ..Change::default()
    };
    let left = update(&path, &gone(1)).unwrap();
    assert_eq!(left.ear_signers(), [PublicKey::of(&signing_key(2))]);
    assert_eq!(update(&path, &gone(1)).unwrap_err().code(), "DB-REQ-013");
    assert_eq!(update(&path, &gone(2)).unwrap_err().code(), "DB-REQ-014");
    // What does not hold is not written.
    assert!(Trust::load(&path).is_ok());
}

#[test]
fn a_changed_policy_is_accepted_on_request_only() {
    let work = Work::new();
    work.create().unwrap();
    let path = work.path("trust/trust.toml");
    let policy = work.path("trust/policy.toml");
    let mut text = std::fs::read_to_string(&policy).unwrap();
    text.push_str("# read and accepted\n");
    std::fs::write(&policy, text).unwrap();
    assert_eq!(Trust::load(&path).unwrap_err().code(), "DB-REQ-016");
    let accept = Change {
        policies: vec![policy],
        ..Change::default()
    };
    let trust = update(&path, &accept).unwrap();
    assert_eq!(trust.policies().len(), 1);
    let drop = Change {
        remove_policies: vec![trust.policies().first().unwrap().digest],
        ..Change::default()
    };
    assert_eq!(update(&path, &drop).unwrap_err().code(), "DB-REQ-014");
}

#[test]
fn a_simulated_policy_takes_its_values_from_the_files() {
    let work = Work::new();
    let (binary, release) = (work.path("enclave"), work.path("release.json"));
    std::fs::write(&binary, b"enclave").unwrap();
    let manifest = Scene::good().release;
    std::fs::write(&release, manifest.to_json()).unwrap();
    let policy = simulated_policy(&work.path("platform"), &binary, &release).unwrap();
    // SHA-384 of `enclave`, from sha384sum.
    let expected = MEASUREMENT_OF_ENCLAVE;
    assert!(policy.contains(expected));
    assert!(policy.contains(&manifest.digest().to_string()));
    std::fs::write(&binary, b"enclavf").unwrap();
    let other = simulated_policy(&work.path("platform"), &binary, &release).unwrap();
    assert!(!other.contains(expected));
    std::fs::write(&release, "{}").unwrap();
    let error = simulated_policy(&work.path("platform"), &binary, &release).unwrap_err();
    assert_eq!(error.code(), "DB-ATT-070");
}

const MEASUREMENT_OF_ENCLAVE: &str = "0ccaff8dddc28bb455816c71501a31f3873eca0280d75b24e2b6bc647c86abc2e88e58bc7852595112e5c3c6170a67f4";
