//! Evidence of a simulated platform through the whole interface: accepted, refused, replayed, and
//! one chip under two nodes.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::attester::Attester as _;
use duckblind_attestation::config::{
    Backend, Clock, ConfigLimits, EnclaveConfig, Provider, Requesters, Spill, Timeouts, Wall,
};
use duckblind_attestation::ear::{self, EarClaims, EarStatus, EarVerifyKey};
use duckblind_attestation::evidence::Evidence;
use duckblind_attestation::policy::fill_development;
use duckblind_attestation::release::ReleaseManifest;
use duckblind_attestation::simulator::{self, SimulatedSnp};
use duckblind_protocol::http::{AppraisalReply, ChallengeReply, NodeAttestation, NodeList};
use duckblind_protocol::ids::{Digest, InstanceId, Nonce, PublicKey};
use duckblind_protocol::key_statement::{
    Challenge, KEM_KEY_LEN, KeyStatement, Suite, Tee, combined_nonce, report_data,
};
use reqwest::Method;
use serde_json::json;

use crate::testing::{Home, Node, TEMPLATE, Verifier, refused};
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

fn release() -> ReleaseManifest {
    ReleaseManifest {
        v: 1,
        binary: Digest::of(b"binary"),
        commit: "0123456789abcdef".into(),
        lockfile: Digest::of(b"lock"),
        rustc: "rustc 1.95.0".into(),
    }
}

fn config() -> EnclaveConfig {
    EnclaveConfig {
        v: 1,
        walls: vec![
            Wall::FreshExec,
            Wall::EmptyEnvironment,
            Wall::ClosedDescriptors,
            Wall::NoNewPrivs,
            Wall::NotDumpable,
            Wall::NoCoreDumps,
            Wall::ResourceLimits,
            Wall::ProcessGroup,
            Wall::NoSpill,
            Wall::NoCapabilities,
        ],
        backend: Backend::Process,
        engine: "duckdb 2.0.0".into(),
        egress: vec![],
        clock: Clock::Boottime,
        clock_source: "tsc".into(),
        providers: vec![Provider::LocalFake],
        requesters: Requesters::Any,
        limits: ConfigLimits {
            max_jobs: 4,
            standbys: 2,
            wall_ms: 600_000,
            memory_bytes: 4 << 30,
            result_bytes: 4 << 30,
            threads: 2,
        },
        timeouts: Timeouts {
            ticket_ms: 60_000,
            expiry_ms: 60_000,
            keepalive_ms: 30_000,
            progress_ms: 30_000,
            epoch_ms: 300_000,
            drain_ms: 30_000,
            standby_ms: 3_600_000,
        },
        spill: Spill::Off,
    }
}

/// One boot of an enclave on the simulated platform.
struct Enclave {
    platform: SimulatedSnp,
    statement: KeyStatement,
}

impl Enclave {
    fn boot(instance: u8) -> Self {
        let statement = KeyStatement {
            v: 1,
            tee: Tee::SevSnp,
            suite: Suite::XWingHkdfSha256Aes256Gcm,
            kem_key: vec![1; KEM_KEY_LEN],
            instance_key: PublicKey::from_bytes([2; 32]),
            instance: InstanceId::from_bytes([instance; 32]),
            epoch: 5,
            config: config().digest(),
            release: release().digest(),
            prev: Some(Digest::of(b"the epoch before")),
        };
        Self {
            platform: SimulatedSnp::open(platform_dir()).unwrap(),
            statement,
        }
    }

    fn evidence(&self, nonce: Nonce, audience: Digest) -> String {
        let (statement, challenge) = (
            self.statement.encode(),
            Challenge::new(nonce, audience).encode(),
        );
        let raw = self
            .platform
            .attest(&report_data(&statement, &challenge))
            .unwrap();
        let evidence = Evidence {
            v: 1,
            tee: Tee::SevSnp,
            report: raw.report,
            key_statement: statement,
            challenge,
            config: config().encode(),
            release: release().encode(),
            endorsements: raw.endorsements,
        };
        STANDARD.encode(evidence.encode())
    }

    /// An honest answer to a challenge without a requester's nonce.
    fn answer(&self, verifier: &Verifier, challenge: &ChallengeReply) -> String {
        let nonce = combined_nonce(&challenge.verifier_nonce, None);
        self.evidence(nonce, ear::audience(&signer(verifier)))
    }
}

fn signer(verifier: &Verifier) -> PublicKey {
    ear_key::read_public(&verifier.home.path().join("ear.pub")).unwrap()
}

fn claims(verifier: &Verifier, reply: &AppraisalReply) -> EarClaims {
    let keys = [EarVerifyKey::new(signer(verifier))];
    ear::verify_jwt(&reply.ear_jwt, &keys, clock::Clock::System.now()).unwrap()
}

/// A verifier whose policy accepts this test process as an enclave.
async fn accepting(more: &str) -> Verifier {
    let home = Home::new();
    let platform = SimulatedSnp::open(platform_dir()).unwrap();
    let policy = fill_development(
        TEMPLATE,
        &[platform.root()],
        &[platform.measurement()],
        &[release().digest()],
    );
    std::fs::write(home.path().join("policy.toml"), policy.unwrap()).unwrap();
    // Certificates of the platform were made just now.
    Verifier::start_at(Arc::new(home), more, clock::Clock::System.now()).await
}

async fn appraise(
    verifier: &Verifier,
    challenge: &ChallengeReply,
    evidence: &str,
) -> AppraisalReply {
    let body = json!({ "challenge": challenge.id, "evidence": evidence }).to_string();
    let reply = verifier.post("/v1/appraisals", body).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

async fn attest(verifier: &Verifier, node: &Node, enclave: &Enclave) -> AppraisalReply {
    let challenge = verifier.challenge().await;
    let evidence = enclave.answer(verifier, &challenge);
    let body = json!({ "challenge": challenge.id, "evidence": evidence });
    let path = format!("/v1/nodes/{}/attestation", node.id());
    let request = node.sign(Method::POST, &path, &body, verifier.nonce().await);
    let reply = verifier.send(request).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

#[tokio::test]
async fn honest_evidence_gets_a_result_marked_sim_that_ends_with_the_epoch() {
    let verifier = accepting("").await;
    let challenge = verifier.challenge().await;
    let enclave = Enclave::boot(1);
    let reply = appraise(
        &verifier,
        &challenge,
        &enclave.answer(&verifier, &challenge),
    )
    .await;
    let failed: Vec<_> = reply.checks.iter().filter(|check| !check.pass).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(
        (reply.verdict.as_str(), reply.reasons.len()),
        ("warning", 0)
    );
    let claims = claims(&verifier, &reply);
    assert_eq!(
        (claims.status, claims.sim, claims.node),
        (EarStatus::Warning, true, None)
    );
    let told = claims.enclave.as_ref().unwrap();
    assert_eq!(told.key_statement, enclave.statement.digest());
    // The epoch (300 s at most) ends before the usual 600 s of a result.
    assert_eq!(claims.exp.0 - claims.iat.0, 300);
}

#[tokio::test]
async fn evidence_for_another_challenge_or_verifier_or_altered_is_refused_in_writing() {
    let verifier = accepting("").await;
    let enclave = Enclave::boot(1);
    let first = verifier.challenge().await;
    let evidence = enclave.answer(&verifier, &first);
    appraise(&verifier, &first, &evidence).await;

    // The same evidence again, under a new challenge.
    let replayed = appraise(&verifier, &verifier.challenge().await, &evidence).await;
    assert_eq!(replayed.reasons, ["E_NONCE"]);
    let said_no = claims(&verifier, &replayed);
    assert_eq!(said_no.status, EarStatus::Contraindicated);
    assert!(said_no.enclave.is_none());

    let challenge = verifier.challenge().await;
    let nonce = combined_nonce(&challenge.verifier_nonce, None);
    let for_another = enclave.evidence(nonce, Digest::of(b"another verifier"));
    assert_eq!(
        appraise(&verifier, &challenge, &for_another).await.reasons,
        ["E_NONCE"]
    );

    let challenge = verifier.challenge().await;
    let bytes = STANDARD
        .decode(enclave.answer(&verifier, &challenge))
        .unwrap();
    let mut altered = Evidence::decode(&bytes).unwrap();
    *altered.report.get_mut(0x90).unwrap() ^= 1; // the measurement
    let altered = STANDARD.encode(altered.encode());
    let reply = appraise(&verifier, &challenge, &altered).await;
    assert_eq!(reply.verdict, "contraindicated");
    assert!(
        reply.reasons.contains(&"E_MEASUREMENT".to_owned()),
        "{:?}",
        reply.reasons
    );
    assert!(
        reply.reasons.contains(&"E_SIG".to_owned()),
        "{:?}",
        reply.reasons
    );
}

#[tokio::test]
async fn a_node_attests_and_requesters_get_what_it_sent() {
    let verifier = accepting("").await;
    let node = Node::new(1);
    verifier.enrol(&node).await;
    let path = format!("/v1/nodes/{}/attestation", node.id());
    refused(verifier.get(&path).await, 404, "DB-VER-041").await;

    let reply = attest(&verifier, &node, &Enclave::boot(1)).await;
    let said = claims(&verifier, &reply);
    assert_eq!((said.node, said.is_accepted()), (Some(node.id()), true));
    let got: NodeAttestation = verifier.get(&path).await.json().await.unwrap();
    assert_eq!(
        (got.ear_jwt.as_str(), got.ear_cose.as_str()),
        (reply.ear_jwt.as_str(), reply.ear_cose.as_str())
    );
    assert_eq!(
        Digest::of(&STANDARD.decode(&got.evidence).unwrap()),
        said.evidence
    );
    assert_eq!(got.node.verdict.as_deref(), Some("warning"));
    assert_eq!(got.node.attested_until, Some(said.exp.0));
    assert!(got.node.sim && got.node.flags.is_empty());

    let list: NodeList = verifier
        .get("/v1/nodes?class=l2")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list.nodes.first().unwrap().attested_until, Some(said.exp.0));
}

#[tokio::test]
async fn a_chip_or_instance_under_two_nodes_is_flagged() {
    let verifier = accepting("").await;
    let (one, two) = (Node::new(1), Node::new(2));
    verifier.enrol(&one).await;
    verifier.enrol(&two).await;
    let flags = || async {
        let list: NodeList = verifier.get("/v1/nodes").await.json().await.unwrap();
        list.nodes
            .into_iter()
            .map(|node| node.flags)
            .collect::<Vec<_>>()
    };
    let enclave = Enclave::boot(1);
    attest(&verifier, &one, &enclave).await;
    assert_eq!(flags().await, [Vec::<String>::new(), vec![]]);
    attest(&verifier, &two, &Enclave::boot(2)).await;
    assert_eq!(
        flags().await,
        [["chip-under-two-nodes"], ["chip-under-two-nodes"]]
    );
    attest(&verifier, &two, &enclave).await;
    let both = ["chip-under-two-nodes", "instance-under-two-nodes"];
    assert_eq!(flags().await, [both, both]);
}

#[tokio::test]
async fn an_instance_keeps_its_report_id_and_does_not_go_back_an_epoch() {
    let verifier = accepting("").await;
    let node = Node::new(1);
    verifier.enrol(&node).await;
    let mut enclave = Enclave::boot(1);
    assert_eq!(attest(&verifier, &node, &enclave).await.verdict, "warning");
    enclave.statement.epoch = 4;
    assert_eq!(
        attest(&verifier, &node, &enclave).await.reasons,
        ["E_BINDING"]
    );
    enclave.statement.epoch = 6;
    assert_eq!(attest(&verifier, &node, &enclave).await.verdict, "warning");
    // Another boot of the platform that claims the same instance.
    let mut impostor = Enclave::boot(1);
    impostor.statement.epoch = 7;
    assert_eq!(
        attest(&verifier, &node, &impostor).await.verdict,
        "contraindicated"
    );
}

#[tokio::test]
async fn of_several_policies_the_first_that_accepts_speaks() {
    let more = "";
    let verifier = accepting(more).await;
    let home = Arc::clone(&verifier.home);
    drop(verifier);
    let accepting_text = std::fs::read(home.path().join("policy.toml")).unwrap();
    std::fs::write(home.path().join("second.toml"), &accepting_text).unwrap();
    std::fs::write(
        home.path().join("policy.toml"),
        crate::testing::strict_policy(),
    )
    .unwrap();
    let now = clock::Clock::System.now();
    let enclave = Enclave::boot(1);

    let strict = Verifier::start_at(Arc::clone(&home), "", now).await;
    let challenge = strict.challenge().await;
    let reply = appraise(&strict, &challenge, &enclave.answer(&strict, &challenge)).await;
    assert_eq!(reply.verdict, "contraindicated");
    let strict_id = Digest::of(crate::testing::strict_policy().as_bytes());
    assert_eq!(claims(&strict, &reply).policy_id, strict_id);
    drop(strict);

    let both = Verifier::start_with(home, &["policy.toml", "second.toml"], "", now).await;
    let challenge = both.challenge().await;
    let reply = appraise(&both, &challenge, &enclave.answer(&both, &challenge)).await;
    assert_eq!(reply.verdict, "warning");
    assert_eq!(claims(&both, &reply).policy_id, Digest::of(&accepting_text));
}
