//! Envelopes and recorded inputs of a simulated platform.

use duckblind_attestation::appraise::{Expected, Floors, Inputs};
use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::policy::{Policy, fill_development};
use duckblind_attestation::sample;
use duckblind_attestation::simulator::{self, SimulatedSnp};
use duckblind_protocol::ids::{Digest, InstanceId, Nonce, PublicKey, UnixTime};
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee};

use super::*;

const NONCE: [u8; 32] = [3; 32];
const AUDIENCE: [u8; 32] = [4; 32];

/// A platform, a policy that takes it, and an envelope.
fn scene(home: &Home) -> (Vec<u8>, String) {
    let dir = home.path("platform");
    let roots = simulator::create(&dir).unwrap();
    let platform = SimulatedSnp::open(&dir).unwrap();
    let release = sample::release();
    let policy = fill_development(
        include_str!("../../../policies/development.toml"),
        &[roots],
        &[platform.measurement()],
        &[release.digest()],
    )
    .unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let config = sample::config();
    let statement = KeyStatement {
        kem_key: KemSecret::generate().unwrap().public_key().to_vec(),
        instance_key: PublicKey::of(&key),
        instance: InstanceId::from_bytes([5; 32]),
        ..sample::statement(Tee::SevSnp, &config, &release)
    };
    let nonce = Nonce::from_bytes(NONCE);
    let challenge = Challenge::new(nonce, Digest::from_bytes(AUDIENCE));
    let evidence = sample::evidence(&platform, &statement, &challenge, &config, &release).unwrap();
    home.write("own.toml", policy.as_bytes());
    home.write("envelope", &evidence.encode());
    (evidence.encode(), policy)
}

#[test]
fn envelopes_answer_a_question() {
    let home = Home::new();
    let (evidence, policy) = scene(&home);
    let (nonce, audience) = (hex::encode(NONCE), hex::encode(AUDIENCE));
    let base = ["verify", "envelope", "--policy", "own.toml", "--offline"];
    home.refused(&base, "DB-REQ-090", 2);
    let answered = ["--nonce", &nonce, "--audience", &audience];
    let text = home.ok(&[&base[..], &answered].concat());
    assert!(text.contains("\naccepted, SIMULATED PLATFORM"), "{text}");
    assert!(text.contains("warning: W_SIMULATED"), "{text}");
    let value = home.json(&[&base[..], &answered].concat());
    assert_eq!(
        (&value["verdict"], &value["sim"]),
        (&"accepted".into(), &true.into())
    );
    let other = hex::encode([9; 32]);
    let refused = ["--nonce", &other, "--audience", &audience];
    let text = home.refused(&[&base[..], &refused].concat(), "DB-ATT-018", 10);
    assert!(text.contains("E_NONCE"), "{text}");
    let shown = home.ok(&["show", "envelope"]);
    for line in [&nonce, &audience, "guest policy", "root certificate (ARK)"] {
        assert!(shown.contains(line), "{line} not in {shown}");
    }

    let now = UnixTime(value["at"].as_i64().unwrap());
    let recorded = Inputs {
        evidence: &evidence,
        endorsements: &Endorsements::default(),
        policy: &Policy::parse(&policy).unwrap(),
        expected: Expected {
            nonce: Nonce::from_bytes(NONCE),
            audience: Digest::from_bytes(AUDIENCE),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now,
    };
    home.write("inputs", &recorded.encode());
    let again = home.json(&["verify", "inputs"]);
    assert_eq!(again["verdict"], "reproduced");
    assert_eq!(again["checks"], value["checks"]);
    assert_eq!(again["at"], value["at"]);
    home.refused(&["verify", "inputs", "--now", "5"], "DB-REQ-090", 2);
    assert!(home.ok(&["show", "inputs"]).contains("guest policy"));
    assert!(home.run(&["tcb-status", "inputs"]).status.code().is_some());
}

#[test]
fn collected_reports_can_be_judged() {
    let home = Home::new();
    scene(&home);
    let data = "ab".repeat(64);
    let collect = [
        "collect",
        "--simulator",
        "platform",
        "--out",
        "r.bin",
        "--endorsements",
        "bundle",
        "--report-data",
        &data,
    ];
    let value = home.json(&collect);
    assert_eq!(
        (&value["tee"], &value["sim"]),
        (&"sev-snp".into(), &true.into())
    );
    assert!(home.ok(&["show", "r.bin"]).contains(&data));
    // The binary that measures itself is this one, not the enclave: another measurement.
    let base = ["verify", "r.bin", "--policy", "own.toml", "--offline"];
    let text = home.refused(
        &[&base[..], &["--endorsements", "bundle"]].concat(),
        "DB-ATT-012",
        10,
    );
    assert_eq!(text.matches("FAIL ").count(), 1, "{text}");
    let quote = [
        "collect",
        "--simulator",
        "platform",
        "--tee",
        "tdx",
        "--out",
        "q.bin",
        "--event-log",
        "log",
    ];
    assert_eq!(home.json(&quote)["tee"], "tdx");
    let shown = home.ok(&["show", "q.bin", "--event-log", "log"]);
    assert!(
        shown.contains("TDX quote") && shown.contains("as in the quote"),
        "{shown}"
    );
}
