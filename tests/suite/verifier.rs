//! A compromised verifier vouches, under its true signature, for evidence that fails: the requester refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use duckblind_attestation::evidence::Evidence;
use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::combined_nonce;
use duckblind_tests::binaries::{program, run_root};
use duckblind_tests::client;
use duckblind_tests::command::Ran;
use duckblind_tests::liar::{Liar, Lie};
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::{Stack, path};
use ed25519_dalek::SigningKey;

/// What is done to honest evidence.
type Change = fn(&mut Evidence);

/// The enclave program with one byte more: it runs as well and measures otherwise.
fn changed_program() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir_in(run_root()).unwrap();
    let file = dir.path().join("duckblind-enclave");
    let mut bytes = fs::read(program("duckblind-enclave")).unwrap();
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    (dir, file)
}

/// Runs a query through a verifier that tells this lie.
fn through(stack: &Stack, signer: Option<SigningKey>, more: &[&str], lie: Box<Lie>) -> Ran {
    let known = client::signing_key(&stack.ear_key()).unwrap();
    let signer = signer.unwrap_or_else(|| known.clone());
    let liar = Liar::start(&stack.verifier_url, &known, &signer, lie).unwrap();
    let text = fs::read_to_string(stack.trust()).unwrap();
    let trust = stack.dir().join("trust/liar.toml");
    fs::write(&trust, text.replace(&stack.verifier_url, &liar.url)).unwrap();
    let arguments = [&["run", "select 1 as a", "--trust", path(&trust)], more].concat();
    stack.cli(&arguments)
}

/// Digest of the requester's policy, which a liar knows.
fn accepted_policy(stack: &Stack) -> Digest {
    Digest::of(&fs::read(stack.dir().join("trust/policy.toml")).unwrap())
}

#[test]
fn that_tells_the_truth_is_believed() {
    let _test = running::test("liar: truth");
    let stack = Stack::start(Options::default());
    through(&stack, None, &[], Box::new(|_, _| {})).ok();
    through(&stack, None, &["--fresh"], Box::new(|_, _| {})).ok();
}

#[test]
fn cannot_vouch_for_another_program() {
    let _test = running::test("liar: measurement");
    let (_dir, changed) = changed_program();
    let stack = Stack::start(Options {
        enclave_program: Some(changed),
        trusted_program: Some(program("duckblind-enclave")),
        ..Options::default()
    });
    let policy = accepted_policy(&stack);
    for more in [&[][..], &["--fresh"]] {
        // Its honest word is about a policy that the requester has not accepted.
        let honest = through(&stack, None, more, Box::new(|_, _| {})).hinted();
        assert_eq!(honest.code, 10, "{}", honest.stderr);
        // Its lie names the accepted policy: what counts is the requester's own appraisal.
        let lie = Box::new(
            move |claims: &mut duckblind_attestation::ear::EarClaims, _: &mut Vec<u8>| {
                claims.policy_id = policy;
            },
        );
        let ran = through(&stack, None, more, lie).hinted();
        assert_eq!(ran.code, 10, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("DB-ATT-012") || ran.stderr.contains("E_MEASUREMENT"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn cannot_vouch_for_changed_evidence() {
    let _test = running::test("liar: evidence");
    let stack = Stack::start(Options::default());
    // One byte of the signed report, of its signature, of each preimage that the report binds.
    let changes: [(&str, Change); 6] = [
        ("report", |e| e.report[0x90] ^= 1),
        ("signature", |e| e.report[0x2a0] ^= 1),
        ("key statement", |e| {
            *e.key_statement.last_mut().unwrap() ^= 1
        }),
        ("challenge", |e| *e.challenge.last_mut().unwrap() ^= 1),
        ("config", |e| *e.config.last_mut().unwrap() ^= 1),
        ("release", |e| *e.release.last_mut().unwrap() ^= 1),
    ];
    for (what, change) in changes {
        let lie = Box::new(
            move |claims: &mut duckblind_attestation::ear::EarClaims, bytes: &mut Vec<u8>| {
                let mut evidence = Evidence::decode(bytes).unwrap();
                change(&mut evidence);
                *bytes = evidence.encode();
                claims.evidence = Digest::of(bytes);
            },
        );
        let ran = through(&stack, None, &[], lie).hinted();
        assert!(
            matches!(ran.code, 10 | 30),
            "{what}: {} {}",
            ran.code,
            ran.stderr
        );
    }
}

#[test]
fn cannot_replay_or_prolong() {
    let _test = running::test("liar: replay");
    let stack = Stack::start(Options::default());
    let other_nonce = Box::new(
        |claims: &mut duckblind_attestation::ear::EarClaims, _: &mut Vec<u8>| {
            claims.verifier_nonce = Nonce::from_bytes([7; 32]);
            claims.nonce = combined_nonce(&claims.verifier_nonce, claims.requester_nonce.as_ref());
        },
    );
    let ran = through(&stack, None, &[], other_nonce).hinted();
    assert_eq!(ran.code, 10, "another nonce: {}", ran.stderr);
    // Evidence of no one's challenge in answer to our own.
    let stolen = Box::new(
        |claims: &mut duckblind_attestation::ear::EarClaims, _: &mut Vec<u8>| {
            claims.requester_nonce = None;
            claims.nonce = combined_nonce(&claims.verifier_nonce, None);
        },
    );
    let ran = through(&stack, None, &["--fresh"], stolen).hinted();
    assert_eq!(ran.code, 10, "not our nonce: {}", ran.stderr);
    let ended = Box::new(
        |claims: &mut duckblind_attestation::ear::EarClaims, _: &mut Vec<u8>| {
            claims.iat = UnixTime(claims.iat.0 - 7_200);
            claims.exp = UnixTime(claims.iat.0 + 600);
        },
    );
    let ran = through(&stack, None, &[], ended).hinted();
    assert_eq!(ran.code, 13, "an ended result: {}", ran.stderr);
    let simulated = Box::new(
        |claims: &mut duckblind_attestation::ear::EarClaims, _: &mut Vec<u8>| claims.sim = false,
    );
    // A result whose verdict does not fit its flags does not even sign consistently, or is refused.
    let ran = through(&stack, None, &[], simulated).hinted();
    assert_eq!(ran.code, 10, "a simulator called real: {}", ran.stderr);
}

#[test]
fn cannot_sign_with_another_key() {
    let _test = running::test("liar: key");
    let stack = Stack::start(Options::default());
    let other = SigningKey::from_bytes(&[3; 32]);
    let ran = through(&stack, Some(other), &[], Box::new(|_, _| {})).hinted();
    assert_eq!(ran.code, 10, "{}", ran.stderr);
}

#[test]
fn that_is_honest_refuses_another_program() {
    let _test = running::test("honest verifier");
    let (_dir, changed) = changed_program();
    let stack = Stack::start(Options::default());
    // The same verifier, the same policy, another program behind another host: never attested.
    let changed_stack = Stack::start(Options {
        enclave_program: Some(changed),
        ..Options::default()
    });
    let trust = changed_stack.trust();
    let ran = changed_stack.cli(&["attest", "verify", "--trust", path(&trust)]);
    assert_eq!(ran.code, 0, "accepted where it is listed: {}", ran.stderr);
    let strict = stack.dir().join("trust/other.toml");
    let text = fs::read_to_string(stack.trust()).unwrap();
    fs::write(
        &strict,
        text.replace(&stack.verifier_url, &changed_stack.verifier_url),
    )
    .unwrap();
    let ran = changed_stack
        .cli(&["attest", "verify", "--trust", path(&strict)])
        .hinted();
    assert_eq!(ran.code, 10, "{}", ran.stderr);
}
