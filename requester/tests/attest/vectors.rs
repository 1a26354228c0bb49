//! Folders of test vectors, and single files out of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Home, policy, report};

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
    // Collateral that is none is evidence that is refused, not a folder that is none.
    let list =
        br#"[{"name": "q", "quote": "q.bin", "collateral": "c.json", "now": 1, "expect": "err"}]"#;
    home.write("t/tdx/normalized/cases.json", list);
    home.write("t/tdx/c.json", b"{");
    home.ok(&["verify", "--vectors", "t"]);
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
    // Today Intel's documents of then say nothing any more.
    let arguments = ["tcb-status", &quote, "--collateral", &collateral];
    home.refused(&arguments, "DB-REQ-111", 10);
    let then = [&arguments[..], &["--now", "1791419366"]].concat();
    let text = home.refused(&then, "DB-REQ-109", 10);
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
