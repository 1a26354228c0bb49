//! `duckblind attest`, as the binary: files of every kind and none, policies, test vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod policies;
#[cfg(feature = "simulator")]
mod simulated;
mod vectors;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A policy whose two empty lists are filled.
fn policy() -> String {
    include_str!("../../../policies/production-snp.toml")
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

#[cfg(not(feature = "simulator"))]
#[test]
fn builds_without_simulators_have_none() {
    let home = Home::new();
    let collect = ["collect", "--out", "r.bin", "--simulator", "platform"];
    let output = home.run(&collect);
    assert_eq!(output.status.code(), Some(20), "{}", stderr(&output));
    assert!(!home.path("r.bin").exists());
}
