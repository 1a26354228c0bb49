//! `duckblind attest`, as the binary: files of every kind and none, policies, test vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A policy whose two empty lists are filled.
fn policy() -> String {
    include_str!("../../policies/production-snp.toml")
        .replacen(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "ab".repeat(48)),
            1,
        )
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "cd".repeat(32)),
            1,
        )
}

/// A report of version 3 that says it is from a Genoa chip. Nobody signed it.
fn report() -> Vec<u8> {
    let mut raw = vec![0; 1184];
    raw[0] = 3;
    raw[0x08..0x0c].copy_from_slice(&0x0003_0000_u32.to_le_bytes());
    raw[0x34] = 1;
    raw[0x38..0x40].copy_from_slice(&[10, 0, 0, 0, 0, 0, 23, 84]);
    raw[0x40] = 0x25;
    raw[0x180..0x188].copy_from_slice(&[10, 0, 0, 0, 0, 0, 22, 84]);
    (raw[0x188], raw[0x189]) = (0x19, 0x11);
    raw[0x1a0..0x1e0].fill(0x5a);
    raw[0x1e0..0x1e8].copy_from_slice(&[10, 0, 0, 0, 0, 0, 23, 84]);
    raw[0x1f0..0x1f8].copy_from_slice(&[10, 0, 0, 0, 0, 0, 23, 84]);
    raw
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("policy.toml", policy().as_bytes());
        home.write("report.bin", &report());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_duckblind"))
            .arg("attest")
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .output()
            .unwrap()
    }

    /// Stdout of a command that must succeed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Stdout of a command that must fail with this code, this exit code and a hint.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: &str, exit: i32) -> String {
        let output = self.run(arguments);
        let said = stderr(&output);
        assert!(
            said.contains(&format!("error[{code}]")),
            "{arguments:?}: {said}"
        );
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {said}");
        assert!(said.contains("\nhint: "), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

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
        include_bytes!("../../policies/production-tdx.toml"),
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

#[test]
fn a_report_field_by_field() {
    let home = Home::new();
    let output = home.run(&["show", "report.bin"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for line in [
        "signed by            VCEK",
        "processor            genoa",
        "guest policy 0x30000",
        "debugging            bit 19  forbidden",
        "SMT                  bit 16  allowed",
        "bootloader=10 tee=0 snp=22 microcode=84  the key is derived from it",
        "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a… (64 bytes)",
    ] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    let said = stderr(&output);
    assert!(said.contains("nothing of this is verified"), "{said}");
    assert!(said.contains("--full"), "{said}");
    let full = home.ok(&["show", "report.bin", "--full"]);
    assert!(full.contains(&"5a".repeat(64)), "{full}");
    let value = home.json(&["show", "report.bin"]);
    assert_eq!(value["verified"], false);
    assert_eq!(value["evidence"]["tee"], "sev-snp");
    assert_eq!(
        value["evidence"]["report"][2]["title"],
        "guest policy 0x30000"
    );
    // The same as hex digits.
    home.write(
        "report.hex",
        format!("0x{}\n", hex::encode(report())).as_bytes(),
    );
    assert_eq!(home.ok(&["show", "report.hex"]), text);
}

#[test]
fn files_that_are_none() {
    let home = Home::new();
    home.write("text", b"hello");
    home.write("nothing", b"");
    home.write("short.bin", &report()[..1183]);
    home.write("quote.bin", &[4, 0, 2, 0, 0x81, 0, 0, 0, 0, 0]);
    home.write(
        "sgx.bin",
        &[&[3, 0, 2, 0, 0, 0, 0, 0][..], &[0; 500]].concat(),
    );
    home.write("receipt.json", b"{}");
    home.write("cbor", &[0xa8, 1, 1]);
    home.write("bundle", &[0xa0]);
    for verb in ["show", "verify", "tcb-status"] {
        for (file, code, exit) in [
            ("text", "DB-REQ-100", 30),
            ("nothing", "DB-REQ-100", 30),
            ("short.bin", "DB-REQ-100", 30),
            ("receipt.json", "DB-REQ-080", 30),
            ("none", "DB-REQ-001", 2),
        ] {
            home.refused(&[verb, file], code, exit);
        }
        assert_eq!(home.run(&[verb, "cbor"]).status.code(), Some(30));
    }
    home.refused(&["show", "quote.bin"], "DB-REQ-105", 30);
    home.refused(&["show", "sgx.bin"], "DB-REQ-105", 20);
    home.refused(&["verify", "bundle"], "DB-REQ-103", 2);
    home.refused(&["tcb-status", "bundle"], "DB-REQ-103", 2);
}

#[test]
fn verifying_needs_something_to_judge_by() {
    let home = Home::new();
    home.refused(&["verify", "report.bin"], "DB-REQ-090", 2);
    home.refused(
        &["verify", "report.bin", "--policy", "none.toml"],
        "DB-REQ-001",
        2,
    );
    home.refused(
        &[
            "verify",
            "report.bin",
            "--policy",
            "policy.toml",
            "--now",
            "soon",
        ],
        "DB-REQ-090",
        2,
    );
    home.refused(&["verify", "--offline"], "DB-REQ-090", 2);
    home.refused(&["verify", "--nonce", &"00".repeat(32)], "DB-REQ-090", 2);
    home.write("junk", b"junk");
    let with = |flag| {
        [
            "verify",
            "report.bin",
            "--policy",
            "policy.toml",
            "--offline",
            flag,
            "junk",
        ]
    };
    home.refused(&with("--cert"), "DB-REQ-101", 30);
    home.refused(&with("--collateral"), "DB-REQ-102", 30);
    home.refused(&with("--endorsements"), "DB-COL-043", 30);
}

#[test]
fn a_report_that_nobody_vouches_for_is_refused_check_by_check() {
    let home = Home::new();
    let arguments = [
        "verify",
        "report.bin",
        "--policy",
        "policy.toml",
        "--offline",
    ];
    let text = home.refused(&arguments, "DB-ATT-009", 10);
    for line in [
        "FAIL chain.ark ",
        "FAIL tcb.reported ",
        "FAIL report.measurement ",
        "PASS guest.debug ",
        "\nrejected at ",
        "  E_TCB_FLOOR ",
    ] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    let output = home.run(&[&arguments[..], &["--json", "--now", "1700000000"]].concat());
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["schema"], "duckblind/appraisal/v1");
    assert_eq!(
        (&value["verdict"], &value["at"]),
        (&"rejected".into(), &1_700_000_000.into())
    );
    assert_eq!(value["reasons"][0]["reason"], "E_COLLATERAL_MISSING");
    let error: Value = serde_json::from_str(stderr(&output).lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "DB-ATT-009");
}

#[test]
fn firmware_that_falls_short_is_named() {
    let home = Home::new();
    let text = home.refused(&["tcb-status", "report.bin"], "DB-REQ-109", 10);
    assert!(
        text.contains("SHORT snp (reported): 22, needs 23"),
        "{text}"
    );
    assert!(text.contains("SNP_CONFIG"), "{text}");
    let lower = policy().replacen("snp = 23", "snp = 22", 1);
    home.write("lower.toml", lower.as_bytes());
    let text = home.ok(&["tcb-status", "report.bin", "--policy", "lower.toml"]);
    assert!(text.ends_with("nothing falls short\n"), "{text}");
    let mut old = report();
    old[0] = 2;
    old[0x188..0x18a].fill(0);
    home.write("old.bin", &old);
    home.refused(&["tcb-status", "old.bin"], "DB-REQ-106", 2);
}

#[test]
fn without_network_and_without_hardware() {
    let home = Home::new();
    let arguments = [
        "fetch-collateral",
        "report.bin",
        "--offline",
        "-o",
        "bundle",
    ];
    home.refused(&arguments, "DB-COL-023", 40);
    // Nothing is asked of anyone for what does not parse.
    home.write("quote.bin", &[4, 0, 2, 0, 0x81, 0, 0, 0, 0, 0]);
    home.refused(
        &["fetch-collateral", "quote.bin", "-o", "bundle"],
        "DB-REQ-105",
        30,
    );
    let collect = ["collect", "--out", "r.bin", "--configfs-root", "nowhere"];
    home.refused(&collect, "DB-ATT-030", 20);
    home.refused(
        &["collect", "--out", "r.bin", "--report-data", "00"],
        "DB-REQ-090",
        2,
    );
    for file in ["bundle", "r.bin"] {
        assert!(!home.path(file).exists(), "{file}");
    }
}

/// A folder with one case.
fn vectors(home: &Home, case: &str) {
    home.write("v/snp/normalized/r.report.bin", &report());
    home.write("v/snp/normalized/manifest.json", case.as_bytes());
}

#[test]
fn vectors_of_ones_own() {
    let home = Home::new();
    let case = |more: &str| {
        format!(r#"[{{"name": "one", "report": "r.report.bin", "now": 1700000000, {more}}}]"#)
    };
    // Unknown members say nothing; a missing certificate has its code.
    vectors(
        &home,
        &case(
            r#""expect_crypto": "reject", "expect_crypto_reason": "E_COLLATERAL_MISSING",
               "strict_reasons": ["E_TCB_FLOOR", "E_COLLATERAL_MISSING"], "colour": "red""#,
        ),
    );
    let text = home.ok(&["verify", "--vectors", "v"]);
    assert!(text.contains("2 of 2 as listed"), "{text}");
    vectors(&home, &case(r#""expect_crypto": "accept", "vek": null"#));
    let text = home.refused(&["verify", "--vectors", "v"], "DB-REQ-125", 10);
    assert!(text.contains("DIFF one"), "{text}");
    vectors(
        &home,
        &case(r#""expect_crypto": "reject", "strict_reasons": ["E_DEBUG"]"#),
    );
    home.refused(&["verify", "--vectors", "v"], "DB-REQ-125", 10);
    vectors(
        &home,
        &case(r#""expect_crypto": "reject", "strict_reasons": ["E_NEW"]"#),
    );
    let output = home.run(&["verify", "--vectors", "v", "--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["agree"], false);
    assert_eq!(value["outcomes"][1]["ours"], "not E_NEW");
}

#[test]
fn vectors_that_are_none() {
    let home = Home::new();
    home.refused(&["verify", "--vectors", "nowhere"], "DB-REQ-120", 2);
    let named = |more: &str| format!(r#"[{{"name": "one", "report": "r.report.bin"{more}}}]"#);
    for (list, code) in [
        ("{", "DB-REQ-121"),
        ("7", "DB-REQ-121"),
        ("{\"x\": []}", "DB-REQ-121"),
        ("[7]", "DB-REQ-121"),
        (named("").as_str(), "DB-REQ-121"),
        (named(r#", "now": 1"#).as_str(), "DB-REQ-122"),
        (
            named(r#", "now": "soon", "expect_crypto": "accept""#).as_str(),
            "DB-REQ-122",
        ),
        (
            named(r#", "now": 1, "expect_crypto": "maybe""#).as_str(),
            "DB-REQ-122",
        ),
        (
            named(r#", "now": 1, "expect_crypto": "accept", "vek": "none.der""#).as_str(),
            "DB-REQ-123",
        ),
        ("[]", "DB-REQ-124"),
    ] {
        vectors(&home, list);
        home.refused(&["verify", "--vectors", "v"], code, 30);
    }
    home.write(
        "t/tdx/normalized/cases.json",
        br#"[{"name": "q", "quote": "q.bin", "now": 1, "expect": "err"}]"#,
    );
    home.refused(&["verify", "--vectors", "t"], "DB-REQ-123", 30);
    home.write("t/tdx/q.bin", b"no quote");
    let text = home.ok(&["verify", "--vectors", "t"]);
    assert!(text.contains("E_COLLATERAL_MISSING E_FORMAT"), "{text}");
}

/// The vectors of real machines; without them the test says so and checks nothing.
fn real() -> Option<PathBuf> {
    let folder = std::env::var_os("DUCKBLIND_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    let text = format!(
        "SKIPPED: no test vectors in {}; set DUCKBLIND_VECTORS\n",
        folder.display()
    );
    // Past the test harness's capture: a skipped test must not look like a passed one.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}

#[test]
fn real_machines() {
    let Some(folder) = real() else { return };
    let home = Home::new();
    let text = home.ok(&["verify", "--vectors", folder.to_str().unwrap()]);
    assert!(text.contains("sgx-v3-config-and-sw-hardening"), "{text}");
    let of = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let text = home.ok(&[
        "show",
        &of("snp/normalized/microsoft_TEE-Attestation-Verification__turin_attestation_report.report.bin"),
    ]);
    for line in [
        "processor            turin",
        "reported             fmc=1 bootloader=1 tee=1 snp=4 microcode=81",
        "report data          zero",
        "id key               4068e9ae4b315aa4",
        "others               0x40",
    ] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    let quote = of("tdx/normalized/Phala-Network_dcap-qvl__tdx_quote.quote.bin");
    let collateral = of("tdx/normalized/collateral_phala_b0c06f_2026-10.json");
    let text = home.ok(&["show", &quote]);
    for line in [
        "MRTD                 91eb2b44d141d4ece09f0c75c2c53d24",
        "SEPT_VE_DISABLE",
        "FMSPC                b0c06f000000",
        "CN=Intel SGX Root CA",
    ] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    let arguments = ["tcb-status", &quote, "--collateral", &collateral];
    let text = home.refused(&arguments, "DB-REQ-109", 10);
    assert!(
        text.contains("OutOfDate") && text.contains("INTEL-SA-01192"),
        "{text}"
    );
}

#[test]
fn a_real_report_under_a_policy() {
    let Some(folder) = real() else { return };
    let home = Home::new();
    let folder = folder.join("snp/normalized");
    let of = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let report = of("project-oak_oak__genoa_oc_evidence.report.bin");
    let measured = fs::read(&report).unwrap()[0x90..0xc0].to_vec();
    let policy = policy().replacen(&"ab".repeat(48), &hex::encode(measured), 1);
    home.write("own.toml", policy.as_bytes());
    let (vek, ask, ark) = (
        of("project-oak_oak__genoa_oc_evidence.vek.der"),
        of("ask_genoa.der"),
        of("ark_genoa.der"),
    );
    let crl = of("crl_genoa.der");
    let documents = [
        "--cert", &vek, "--cert", &ask, "--cert", &ark, "--crl", &crl,
    ];
    let base = ["verify", &report, "--policy", "own.toml", "--offline"];
    let at = ["--now", "2025-10-06T17:21:41Z"];
    let text = home.ok(&[&base[..], &documents, &at].concat());
    assert!(
        text.contains("hardware accepted, nothing bound at 2025-10-06 17:21:41 UTC"),
        "{text}"
    );
    assert!(text.contains("seal nothing to it"), "{text}");
    let value = home.json(&[&base[..], &documents, &at].concat());
    assert_eq!(value["verdict"], "hardware-accepted");
    // The revocation list ends in November 2025.
    let late = ["--now", "1770000000"];
    home.refused(&[&base[..], &documents, &late].concat(), "DB-ATT-008", 10);
    // One bundle instead of four files, made without a network.
    let fetch = ["fetch-collateral", &report, "--offline", "-o", "bundle"];
    home.ok(&[&fetch[..], &documents, &at].concat());
    home.ok(&[&base[..], &["--endorsements", "bundle"], &at].concat());
    let shown = home.ok(&["show", "bundle"]);
    assert!(shown.contains("AMD's root of genoa"), "{shown}");
    // Another root.
    let other = of("ark_milan.der");
    let swapped = [
        "--cert", &vek, "--cert", &ask, "--cert", &other, "--crl", &crl,
    ];
    let output = home.run(&[&base[..], &swapped, &at].concat());
    assert_eq!(output.status.code(), Some(10));
}

#[cfg(feature = "simulator")]
mod simulated {
    //! Envelopes and recorded inputs of a simulated platform.

    use duckblind_attestation::appraise::{Expected, Floors, Inputs};
    use duckblind_attestation::attester::Attester as _;
    use duckblind_attestation::evidence::{Endorsements, Evidence};
    use duckblind_attestation::policy::{Policy, fill_development};
    use duckblind_attestation::sample;
    use duckblind_attestation::simulator::{self, SimulatedSnp};
    use duckblind_protocol::ids::{Digest, InstanceId, Nonce, PublicKey, UnixTime};
    use duckblind_protocol::kem::KemSecret;
    use duckblind_protocol::key_statement::{Challenge, KeyStatement, Suite, Tee, report_data};

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
            include_str!("../../policies/development.toml"),
            &[roots],
            &[platform.measurement()],
            &[release.digest()],
        )
        .unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let statement = KeyStatement {
            v: 1,
            tee: Tee::SevSnp,
            suite: Suite::XWingHkdfSha256Aes256Gcm,
            kem_key: KemSecret::generate().unwrap().public_key().to_vec(),
            instance_key: PublicKey::of(&key),
            instance: InstanceId::from_bytes([5; 32]),
            epoch: 0,
            config: sample::config().digest(),
            release: release.digest(),
            prev: None,
        }
        .encode();
        let nonce = Nonce::from_bytes(NONCE);
        let challenge = Challenge::new(nonce, Digest::from_bytes(AUDIENCE)).encode();
        let raw = platform
            .attest(&report_data(&statement, &challenge))
            .unwrap();
        let evidence = Evidence {
            v: 1,
            tee: Tee::SevSnp,
            report: raw.report,
            key_statement: statement,
            challenge,
            config: sample::config().encode(),
            release: release.encode(),
            endorsements: raw.endorsements,
            event_log: raw.event_log,
        };
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
}

#[cfg(not(feature = "simulator"))]
#[test]
fn builds_without_simulators_have_none() {
    let home = Home::new();
    let collect = ["collect", "--out", "r.bin", "--simulator", "platform"];
    let output = home.run(&collect);
    assert_eq!(output.status.code(), Some(20), "{}", stderr(&output));
    assert!(!home.path("r.bin").exists());
}
