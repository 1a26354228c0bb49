//! The vendor's documents: looked up for nodes, at a service that plays AMD's with real documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::evidence::{Endorsements, Evidence, VERSION};
use duckblind_protocol::http::AppraisalReply;
use duckblind_protocol::ids::UnixTime;
use duckblind_protocol::key_statement::Tee;
use reqwest::Method;
use serde_json::json;

use crate::testing::{Home, Node, Verifier};

const REPORT: &str = "confidential-containers_trustee__evidence-genoa";
/// Within the lives of the certificates and of the real revocation list.
const WHEN: UnixTime = UnixTime(1_748_736_000);

fn vectors() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("DUCKBLIND_VECTORS").map_or(beside, PathBuf::from);
    let folder = folder.join("snp/normalized");
    if !folder.is_dir() {
        use std::io::Write as _;
        // Past the test harness's capture: a skipped test must not look like a passed one.
        let text = format!("SKIPPED: no test vectors in {}\n", folder.display());
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    }
    Some(folder)
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).collect();
    let body: Vec<_> = lines.iter().map(|l| String::from_utf8_lossy(l)).collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        body.join("\n")
    )
}

struct Vendor {
    folder: PathBuf,
    asked: AtomicUsize,
}

impl Vendor {
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    #[expect(clippy::unused_async, reason = "what a handler has to be")]
    async fn answer(State(vendor): State<Arc<Self>>, uri: Uri) -> impl IntoResponse {
        vendor.asked.fetch_add(1, Ordering::SeqCst);
        let body = match uri.path() {
            "/vcek/v1/Genoa/cert_chain" => {
                let chain = ["ask_genoa.der", "ark_genoa.der"];
                chain.map(|name| pem(&vendor.read(name))).concat().into()
            }
            "/vcek/v1/Genoa/crl" => vendor.read("crl_genoa.der"),
            path if path.starts_with("/vcek/v1/Genoa/") => {
                vendor.read(&format!("{REPORT}.vek.der"))
            }
            _ => return (StatusCode::NOT_FOUND, Vec::new()),
        };
        (StatusCode::OK, body)
    }
}

/// Its address, and itself to count requests.
async fn vendor(folder: PathBuf) -> (String, Arc<Vendor>) {
    let vendor = Arc::new(Vendor {
        folder,
        asked: AtomicUsize::new(0),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .fallback(Vendor::answer)
        .with_state(Arc::clone(&vendor));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, vendor)
}

/// A real report without a certificate, in an envelope that binds nothing.
fn evidence(folder: &Path) -> String {
    let evidence = Evidence {
        v: VERSION,
        tee: Tee::SevSnp,
        report: std::fs::read(folder.join(format!("{REPORT}.report.bin"))).unwrap(),
        key_statement: vec![],
        challenge: vec![],
        config: vec![],
        release: vec![],
        endorsements: Endorsements::default(),
        event_log: None,
    };
    STANDARD.encode(evidence.encode())
}

async fn of_stranger(verifier: &Verifier, evidence: &str) -> AppraisalReply {
    let challenge = verifier.challenge().await;
    let body = json!({ "challenge": challenge.id, "evidence": evidence }).to_string();
    let reply = verifier.post("/v1/appraisals", body).await;
    reply.json().await.unwrap()
}

async fn of_node(verifier: &Verifier, node: &Node, evidence: &str) -> AppraisalReply {
    let challenge = verifier.node_challenge(node).await;
    let body = json!({ "challenge": challenge.id, "evidence": evidence });
    let path = format!("/v1/nodes/{}/attestation", node.id());
    let request = node.sign(Method::POST, &path, &body, verifier.nonce().await);
    verifier.send(request).await.json().await.unwrap()
}

fn documents(reply: &AppraisalReply) -> Endorsements {
    Endorsements::decode(&STANDARD.decode(&reply.endorsements).unwrap()).unwrap()
}

fn failed(reply: &AppraisalReply, prefix: &str) -> Vec<String> {
    let checks = reply.checks.iter().filter(|check| !check.pass);
    checks
        .map(|check| check.name.clone())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

#[tokio::test]
async fn fetched_for_nodes_kept_and_then_there_for_everybody() {
    let Some(folder) = vectors() else { return };
    let (url, vendor) = vendor(folder.clone()).await;
    let section = format!("[collateral]\ndir = \"kept\"\nfetch = true\nkds = \"{url}\"");
    let home = Arc::new(Home::new());
    let verifier = Verifier::start_at(Arc::clone(&home), &section, WHEN).await;
    let node = Node::new(1);
    verifier.enrol(&node).await;
    let evidence = evidence(&folder);

    let reply = of_stranger(&verifier, &evidence).await;
    assert!(reply.reasons.contains(&"E_COLLATERAL_MISSING".to_owned()));
    assert_eq!(documents(&reply), Endorsements::default());
    assert_eq!(vendor.asked.load(Ordering::SeqCst), 0, "for a stranger");

    let reply = of_node(&verifier, &node, &evidence).await;
    assert!(!reply.reasons.contains(&"E_COLLATERAL_MISSING".to_owned()));
    // The policy of this test knows no root of AMD's; all else of the chain is in order.
    assert_eq!(failed(&reply, "chain."), ["chain.root"]);
    let found = documents(&reply);
    assert_eq!(found.vek, Some(vendor.read(&format!("{REPORT}.vek.der"))));
    assert_eq!(found.crl, Some(vendor.read("crl_genoa.der")));
    let asked = vendor.asked.load(Ordering::SeqCst);
    assert_eq!(asked, 3, "certificate, chain, list");

    let reply = of_stranger(&verifier, &evidence).await;
    assert_eq!(documents(&reply), found);
    drop(verifier);
    let again = Verifier::start_at(home, &section, WHEN).await;
    let reply = of_node(&again, &node, &evidence).await;
    assert_eq!(documents(&reply), found, "after a restart");
    assert_eq!(vendor.asked.load(Ordering::SeqCst), asked);

    let metrics = again.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("collateral_total{source=\"kept\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn without_a_service_the_appraisal_says_what_is_missing() {
    let Some(folder) = vectors() else { return };
    // Nobody listens on a port that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for fetch in [false, true] {
        let section = format!("[collateral]\ndir = \"kept\"\nfetch = {fetch}\nkds = \"{url}\"");
        let verifier = Verifier::start_at(Arc::new(Home::new()), &section, WHEN).await;
        let node = Node::new(1);
        verifier.enrol(&node).await;
        let reply = of_node(&verifier, &node, &evidence(&folder)).await;
        assert!(reply.reasons.contains(&"E_COLLATERAL_MISSING".to_owned()));
    }
}
