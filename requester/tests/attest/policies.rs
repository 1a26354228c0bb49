//! `attest policy`.

use super::{Home, policy, stderr};

#[test]
fn policies_are_linted_as_a_whole() {
    let home = Home::new();
    let text = home.ok(&["policy", "lint", "policy.toml"]);
    assert!(text.starts_with("policy.toml: a policy\n"), "{text}");
    assert!(text.contains("note: snp.platform.chips: "), "{text}");

    let wrong = policy().replacen("vmpls = [0]", "vmpsl = [0]", 1).replacen(
        "[\"genoa\", \"turin\"]",
        "[\"genoa\", \"turing\"]",
        1,
    );
    home.write("wrong.toml", wrong.as_bytes());
    let arguments = ["policy", "lint", "policy.toml", "wrong.toml"];
    let text = home.refused(&arguments, "DB-ATT-042", 2);
    assert!(
        text.contains("wrong.toml: not a policy, 3 problems"),
        "{text}"
    );
    for hint in ["did you mean \"vmpls\"?", "did you mean \"turin\"?"] {
        assert!(text.contains(hint), "{hint} not in {text}");
    }
    home.write("text", b"= 1");
    home.refused(&["policy", "lint", "text"], "DB-ATT-040", 30);
    home.write(
        "later.toml",
        policy()
            .replacen("version = 2", "version = 9", 1)
            .as_bytes(),
    );
    home.refused(&["policy", "lint", "later.toml"], "DB-ATT-048", 20);
    home.refused(&["policy", "lint", "none.toml"], "DB-REQ-001", 2);
    let value = home.json(&["policy", "lint", "policy.toml"]);
    assert_eq!(value["schema"], "duckblind/policy-lint/v1");
    assert_eq!(value["files"][0]["ok"], true);
}

#[test]
fn policies_in_plain_words() {
    let home = Home::new();
    let text = home.ok(&["policy", "explain", "policy.toml"]);
    for line in [
        "purpose ",
        "production: simulated platforms are refused",
        "a current revocation list must show that no key was revoked",
        "genoa: SNP firmware at least",
        "hosts that the enclave may dial",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    // Templates too, with what is missing.
    home.write(
        "template.toml",
        include_bytes!("../../../policies/production-tdx.toml"),
    );
    let output = home.run(&["policy", "explain", "template.toml"]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(
        said.contains("not usable as it is: tdx.images is empty"),
        "{said}"
    );
    let value = home.json(&["policy", "explain", "policy.toml"]);
    assert_eq!(value["complete"], true);
    assert_eq!(value["sections"][0]["lines"][0]["key"], "version");
    home.write("wrong.toml", b"version = 2\n");
    home.refused(&["policy", "explain", "wrong.toml"], "DB-ATT-043", 2);
}

#[test]
fn policies_compared() {
    let home = Home::new();
    let new = policy()
        .replacen("require_crl = true", "require_crl = false", 1)
        .replacen("vmpls = [0]", "vmpls = [0, 1]", 1)
        .replacen("allow_smt = true", "allow_smt = false", 1);
    home.write("new.toml", new.as_bytes());
    let text = home.ok(&["policy", "diff", "policy.toml", "new.toml"]);
    for line in [
        "loosens   snp.require_crl",
        "loosens   snp.vmpls",
        "tightens  snp.guest_policy.allow_smt",
        "2 loosened, 1 tightened, 0 both or neither",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    let same = home.ok(&["policy", "diff", "policy.toml", "policy.toml"]);
    assert_eq!(same, "no difference in what is accepted\n");
    let value = home.json(&["policy", "diff", "policy.toml", "new.toml"]);
    assert_eq!(value["differences"].as_array().unwrap().len(), 3);
    assert_eq!(value["differences"][0]["effect"], "tightens");
}
