//! The doctor's whole report, over machines, enclaves and policies that a test plays.

#[cfg(feature = "simulator")]
mod evidence;

use std::path::{Path, PathBuf};

use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::frames::{EpochNote, Kind, frame};
use duckblind_protocol::ids::Digest;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

use super::rig::read_frame;
use crate::doctor::{Finding, Machine, Outcome, examine, verdict};
use crate::node_key::NodeKey;

const GENOA: &str = "vendor_id: AuthenticAMD\ncpu family: 25\nmodel: 17\nflags: fpu";
const SNP: &str = "sys/module/kvm_amd/parameters/sev_snp";

/// A node's directory, with key and configuration, and the machine it is on.
struct Node {
    dir: tempfile::TempDir,
    config: PathBuf,
}

impl Node {
    fn new(class: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        NodeKey::generate().unwrap().write(dir.path()).unwrap();
        let config = dir.path().join("host.toml");
        let text = format!(
            "listen = \"127.0.0.1:0\"\nenclave = \"unix:{0}/enclave.sock\"\n\
             verifier = \"http://127.0.0.1:1\"\nnode_key = \"{0}/node.key\"\nclass = {class:?}\n\
             audience = \"{1}\"\npeers = \"open\"\n",
            dir.path().display(),
            "00".repeat(32),
        );
        std::fs::write(&config, text).unwrap();
        let node = Self { dir, config };
        node.play("proc/cpuinfo", GENOA);
        node.play(SNP, "Y\n");
        node.play("dev/sev", "");
        node
    }

    /// A file of the machine's.
    fn play(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn report(&self, policy: Option<&Path>) -> Vec<Finding> {
        let report = examine(&self.config, policy, &Machine::below(self.dir.path())).await;
        for finding in &report {
            if matches!(finding.outcome, Outcome::Warn | Outcome::Fail) {
                assert!(finding.hint.is_some(), "{finding:?}");
            }
        }
        report
    }

    /// Serves watches, and challenges with what `answer` makes of them.
    fn enclave(&self, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
        let listener = UnixListener::bind(self.dir.path().join("enclave.sock")).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let said = match read_frame(&mut stream).await {
                    (Kind::Watch, _) => {
                        let note = EpochNote::new(Digest::of(b"statement"), 7, 60_000);
                        frame(Kind::Epoch, &note.encode())
                    }
                    (Kind::Challenge, asked) => answer(&asked),
                    (kind, _) => panic!("{kind:?}"),
                };
                stream.write_all(&said).await.unwrap();
            }
        });
    }
}

/// The only finding of this check.
fn one<'a>(report: &'a [Finding], check: &str) -> &'a Finding {
    let mut all = report.iter().filter(|finding| finding.check == check);
    let finding = all.next().unwrap_or_else(|| panic!("no {check}"));
    assert!(all.next().is_none(), "more than one {check}");
    finding
}

fn outcome(report: &[Finding], check: &str) -> Outcome {
    one(report, check).outcome
}

#[tokio::test]
async fn without_a_configuration_only_the_machine_is_looked_at() {
    let node = Node::new("l2");
    let machine = Machine::below(node.dir.path());
    let report = examine(Path::new("/nonexistent/host.toml"), None, &machine).await;
    let (first, rest) = report.split_first().unwrap();
    assert_eq!((first.check, first.outcome), ("config", Outcome::Fail));
    assert!(first.hint.as_ref().unwrap().contains("--config"));
    for finding in rest {
        let machines = matches!(finding.check, "processor" | "devices");
        let expected = if machines {
            Outcome::Pass
        } else {
            Outcome::Skip
        };
        assert_eq!(finding.outcome, expected, "{}", finding.check);
    }
    // A file that is missing is no bug of ours.
    let verdict = verdict(&report).unwrap_err();
    assert!(verdict.hint().unwrap().contains("FAIL"));
    // The same lines as with one.
    let whole = node.report(None).await;
    for finding in &whole {
        one(&report, finding.check);
    }
    assert_eq!(report.len(), whole.len());
}

#[tokio::test]
async fn a_machine_without_enclave_and_verifier_is_unfit() {
    let node = Node::new("l2");
    let report = node.report(None).await;
    for (check, expected) in [
        ("config", Outcome::Pass),
        ("file modes", Outcome::Pass),
        ("node key", Outcome::Pass),
        ("enrol token", Outcome::Skip),
        ("listen address", Outcome::Pass),
        ("usage log", Outcome::Skip),
        ("processor", Outcome::Pass),
        ("devices", Outcome::Pass),
        ("kernel interface", Outcome::Skip),
        ("enclave", Outcome::Fail),
        ("evidence", Outcome::Skip),
        ("endorsements", Outcome::Skip),
        ("collateral", Outcome::Skip),
        ("policy", Outcome::Skip),
        ("verifier", Outcome::Fail),
        ("clock", Outcome::Skip),
        ("time service", Outcome::Skip),
    ] {
        assert_eq!(outcome(&report, check), expected, "{check}");
    }
    assert_eq!(report.len(), 17);
    assert_eq!(verdict(&report).unwrap_err().exit().code(), 1);
}

#[tokio::test]
async fn public_data_needs_no_trusted_hardware() {
    let node = Node::new("l0");
    node.play(SNP, "N\n");
    let report = node.report(None).await;
    for check in ["processor", "devices", "kernel interface"] {
        assert_eq!(outcome(&report, check), Outcome::Skip, "{check}");
    }
}

#[tokio::test]
async fn an_enclave_that_answers_with_something_else() {
    let node = Node::new("l2");
    node.enclave(|_| frame(Kind::Evidence, b"none"));
    let report = node.report(None).await;
    assert_eq!(outcome(&report, "enclave"), Outcome::Pass);
    let evidence = one(&report, "evidence");
    assert_eq!(evidence.outcome, Outcome::Fail);
    assert!(evidence.detail.starts_with("DB-PRO-"), "{evidence:?}");
    assert_eq!(outcome(&report, "endorsements"), Outcome::Skip);
    assert_eq!(outcome(&report, "collateral"), Outcome::Skip);
}

#[tokio::test]
async fn an_enclave_that_does_not_answer_challenges() {
    let node = Node::new("l2");
    node.enclave(|_| Vec::new());
    let report = node.report(None).await;
    assert_eq!(outcome(&report, "enclave"), Outcome::Pass);
    let evidence = one(&report, "evidence");
    assert_eq!(evidence.outcome, Outcome::Fail);
    assert!(evidence.detail.starts_with("DB-HST-030"), "{evidence:?}");
}

#[tokio::test]
async fn a_policy_that_is_none() {
    let node = Node::new("l2");
    let file = node.dir.path().join("policy.toml");
    for (text, code) in [
        (None, "DB-HST-001"),
        (Some("version = \"two\""), "DB-ATT-044"),
        (Some("= 2"), "DB-ATT-040"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let report = node.report(Some(&file)).await;
        let policy = one(&report, "policy");
        assert_eq!(policy.outcome, Outcome::Fail);
        assert!(policy.detail.starts_with(code), "{}", policy.detail);
    }
}
