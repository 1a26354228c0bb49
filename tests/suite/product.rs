//! The programs as shipped, built without the simulated platform: they refuse it, by name.

use std::fs;

use duckblind_tests::binaries::{PROGRAMS, product_program};
use duckblind_tests::command;
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::{Stack, path, release_manifest};

#[test]
fn refuses_a_simulated_platform() {
    let _test = running::test("product");
    let mut stack = Stack::start(Options::default());
    // The requester: neither a simulator's trust file nor its evidence.
    let trust = stack.trust();
    let arguments = ["run", "select 1", "--trust", path(&trust)];
    let run = stack.with_home(&product_program("duckblind"), &arguments);
    let ran = command::run(run, b"").hinted();
    assert!(matches!(ran.code, 10 | 20), "{} {}", ran.code, ran.stderr);
    let text = fs::read_to_string(&trust).unwrap();
    let strict = stack.dir().join("trust/product.toml");
    fs::write(
        &strict,
        text.replace("simulator = true", "simulator = false"),
    )
    .unwrap();
    let arguments = ["run", "select 1", "--trust", path(&strict)];
    let run = stack.with_home(&product_program("duckblind"), &arguments);
    let ran = command::run(run, b"").hinted();
    assert!(matches!(ran.code, 10 | 20), "{} {}", ran.code, ran.stderr);
    // Nor can it make one.
    let arguments = ["trust", "init", "--simulator", "x", "--out", "y"];
    let run = stack.with_home(&product_program("duckblind"), &arguments);
    let ran = command::run(run, b"");
    assert_ne!(ran.code, 0);
    assert!(!stack.dir().join("x").exists());

    // The enclave does not start on it.
    let config = stack.dir().join("enclave/enclave.toml");
    release_manifest(
        &product_program("duckblind-enclave"),
        &stack.dir().join("release.json"),
    )
    .unwrap();
    let run = stack.with_home(
        &product_program("duckblind-enclave"),
        &["run", "--config", path(&config)],
    );
    let ran = command::run(run, b"").hinted();
    assert!(matches!(ran.code, 2 | 20), "{} {}", ran.code, ran.stderr);
    stack.must_work();
}

#[test]
fn programs_explain_themselves() {
    let _test = running::test("help");
    let home = tempfile::tempdir_in(duckblind_tests::binaries::run_root()).unwrap();
    for name in PROGRAMS {
        for argument in ["--help", "--version"] {
            let mut help = command::command(&product_program(name), home.path());
            help.arg(argument);
            let ran = command::run(help, b"").ok();
            assert!(
                ran.text().contains(if argument == "--help" {
                    "Usage"
                } else {
                    "0.1.0"
                }),
                "{name}"
            );
        }
        let mut wrong = command::command(&product_program(name), home.path());
        wrong.arg("--no-such-flag");
        assert_eq!(command::run(wrong, b"").code, 2, "{name}");
    }
}
