//! Real evidence of simulated platforms, as an enclave on them answers a host's challenge.

use std::path::Path;
use std::sync::OnceLock;

use duckblind_attestation::attester::Attester;
use duckblind_attestation::evidence::Evidence;
use duckblind_attestation::sample;
use duckblind_attestation::simulator::{self, SimulatedSnp, SimulatedTdx};
use duckblind_protocol::frames::ChallengeRequest;
use duckblind_protocol::key_statement::{Challenge, combined_nonce};

/// Made once for all tests: the keys take seconds.
fn platforms() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        simulator::create(dir.path()).unwrap();
        dir
    });
    dir.path()
}

pub(crate) fn roots() -> simulator::Roots {
    simulator::roots(platforms()).unwrap()
}

pub(crate) fn snp() -> SimulatedSnp {
    SimulatedSnp::open(platforms()).unwrap()
}

pub(crate) fn tdx() -> SimulatedTdx {
    SimulatedTdx::open(platforms()).unwrap()
}

/// The answer to a challenge of the host's own.
pub(super) fn answer(platform: &impl Attester, asked: &[u8]) -> Evidence {
    let asked = ChallengeRequest::decode(asked).unwrap();
    assert!(asked.requester_nonce.is_none());
    let nonce = combined_nonce(&asked.verifier_nonce, None);
    let challenge = Challenge::new(nonce, asked.audience);
    let (config, release) = (sample::config(), sample::release());
    let statement = sample::statement(platform.tee(), &config, &release);
    sample::evidence(platform, &statement, &challenge, &config, &release).unwrap()
}
