//! Any envelope under a policy that trusts AMD's root and Intel's: nobody here can sign one that it accepts.
#![no_main]
use std::sync::LazyLock;

use duckblind_attestation::appraise::{Expected, Floors, Inputs, appraise};
use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::policy::Policy;
use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::combined_nonce;
use libfuzzer_sys::fuzz_target;

const GENOA: &str = "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1";

const INTEL: &str = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../../policies/development.toml")
        .replacen("\nroots = []", &format!("\nroots = [\"{GENOA}\"]"), 1)
        .replacen("\nroots = []", &format!("\nroots = [\"{INTEL}\"]"), 1)
        .replace(
            "images = []",
            &format!(
                "images = [{{ mrtd = \"{}\", rtmr0 = \"event-log\", rtmr1 = \"event-log\", \
                 rtmr2 = \"event-log\", rtmr3 = \"zero\" }}]",
                "07".repeat(48)
            ),
        )
        .replace(
            "measurements = []",
            &format!("measurements = [\"{}\"]", "07".repeat(48)),
        )
        .replace(
            "releases = []",
            &format!("releases = [\"{}\"]", "07".repeat(32)),
        );
    Policy::parse(&text).expect("a policy")
});

fuzz_target!(|data: &[u8]| {
    let appraisal = appraise(&Inputs {
        evidence: data,
        endorsements: &Endorsements::default(),
        policy: &POLICY,
        expected: Expected {
            // As in the golden file of a challenge.
            nonce: combined_nonce(
                &Nonce::from_bytes([0x66; 32]),
                Some(&Nonce::from_bytes([0x77; 32])),
            ),
            audience: Digest::from_bytes([0x88; 32]),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now: UnixTime(1_800_000_000),
    });
    assert!(appraisal.result.is_err());
});
