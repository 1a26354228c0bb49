//! The main job on each platform that the simulator plays: what is told of it, and the answer.

use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::{Stack, path};
use serde_json::Value;

/// Runs a job, keeps its receipt, and looks at what the client says of the enclave.
fn works(platform: &'static str, tee: &str, check: &str) {
    let _test = running::test(platform);
    let mut stack = Stack::start(Options {
        platform,
        ..Options::default()
    });
    stack.must_work();
    stack.seal_csv("people", "id,name\n1,Ada\n2,Grace\n");
    let receipt = stack.dir().join("job.receipt");
    let more = ["--receipt", path(&receipt), "--format", "csv"];
    let answer = stack.query("select name from people order by id", &["people"], &more);
    assert_eq!(answer.ok().text(), "name\nAda\nGrace\n");

    let trust = stack.trust();
    for source in [&["--fresh"][..], &[path(&receipt)]] {
        let mut arguments = vec!["attest", "verify", "--trust", path(&trust), "--json"];
        arguments.extend(source);
        let told = stack.cli(&arguments).ok().text();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["verdict"], "accepted", "{told}");
        assert_eq!(told["sim"], true);
        let checks = told["checks"].as_array().unwrap();
        let named = |name: &str| checks.iter().any(|c| c["name"] == name);
        assert!(named(check), "{check} is not among the checks");
    }
    let shown = stack.cli(&["attest", "show", path(&receipt), "--json"]);
    let shown = shown.ok().text();
    assert!(shown.contains(&format!("\"{tee}\"")), "{shown}");
}

#[test]
fn sev_snp_of_version_5() {
    works("sev-snp-v5", "sev-snp", "crl.signature");
}

#[test]
fn tdx() {
    works("tdx", "tdx", "event_log.rtmr0");
}
