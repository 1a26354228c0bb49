//! Trust files that hold, and one defect each.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::coded::{Coded as _, Exit};

use super::*;
use crate::testing::Scene;

const KEY: &str = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

struct Files {
    dir: tempfile::TempDir,
    text: String,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = Scene::good().policy;
        std::fs::write(dir.path().join("policy.toml"), &policy).unwrap();
        let text = format!(
            "version = 1\ndevelopment = true\nsimulator = true\nhosts = \"registry\"\n\
             [verifier]\nurl = \"https://verifier.example\"\n\
             [[ear_signers]]\nkey = \"{KEY}\"\n\
             [[policies]]\npath = \"policy.toml\"\nsha256 = \"{}\"\n",
            Digest::of(policy.as_bytes())
        );
        Self { dir, text }
    }

    fn parse(&self) -> Result<Trust, TrustError> {
        Trust::parse(&self.text, &self.dir.path().join("trust.toml"))
    }

    /// The code of a file with `from` replaced.
    fn with(&self, from: &str, to: &str) -> &'static str {
        assert!(self.text.contains(from), "{from}");
        let text = self.text.replacen(from, to, 1);
        match Trust::parse(&text, &self.dir.path().join("trust.toml")) {
            Ok(_) => "holds",
            Err(error) => error.code(),
        }
    }
}

#[test]
fn a_good_one_holds() {
    let trust = Files::new().parse().unwrap();
    assert!(trust.development().is_some());
    assert!(trust.simulator());
    assert_eq!(trust.ear_signers().len(), 1);
    assert_eq!(trust.policies().len(), 1);
}

#[test]
fn two_signers_but_not_the_same_twice() {
    let files = Files::new();
    let second = "[[ear_signers]]\nkey = \"ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\"\n[[policies]]";
    assert_eq!(files.with("[[policies]]", second), "holds");
    let twice = format!("[[ear_signers]]\nkey = \"{KEY}\"\n[[policies]]");
    assert_eq!(files.with("[[policies]]", &twice), "DB-REQ-015");
}

#[test]
fn unknown_keys_are_errors_that_name_the_key() {
    let files = Files::new();
    for place in [
        "version = 1",
        "[verifier]",
        "[[ear_signers]]",
        "[[policies]]",
    ] {
        let with = if place.starts_with('[') {
            format!("{place}\nallow_debug = true")
        } else {
            format!("allow_debug = true\n{place}")
        };
        assert_eq!(files.with(place, &with), "DB-REQ-011", "{place}");
    }
    let text = files
        .text
        .replace("version = 1", "version = 1\nallow_debug = true");
    let error = Trust::parse(&text, Path::new("trust.toml")).unwrap_err();
    assert!(error.to_string().contains("allow_debug"), "{error}");
}

#[test]
fn a_policy_that_changed_is_refused() {
    let files = Files::new();
    let path = files.dir.path().join("policy.toml");
    let mut policy = std::fs::read_to_string(&path).unwrap();
    policy.push('#');
    std::fs::write(&path, policy).unwrap();
    let error = files.parse().unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-016", Exit::Rejected));
}

#[test]
fn defects() {
    let files = Files::new();
    let url = "https://verifier.example";
    for (from, to, code) in [
        ("version = 1", "version = 2", "DB-REQ-012"),
        ("version = 1\n", "", "DB-REQ-011"),
        ("hosts = \"registry\"", "hosts = \"any\"", "DB-REQ-011"),
        ("hosts = \"registry\"", "hosts = \"tofu\"", "holds"),
        (KEY, "ed25519:00", "DB-REQ-013"),
        (url, "http://verifier.example", "DB-REQ-013"),
        (url, "http://127.0.0.1:7400", "holds"),
        (url, "http://[::1]:7400", "holds"),
        (url, "http://127.0.0.1.evil.example", "DB-REQ-013"),
        (url, "https://user:word@verifier.example", "DB-REQ-013"),
        (url, "https://verifier.example/path", "DB-REQ-013"),
        (url, "file:///etc/passwd", "DB-REQ-013"),
        ("development = true", "development = false", "DB-REQ-017"),
        ("policy.toml", "other.toml", "DB-REQ-001"),
    ] {
        assert_eq!(files.with(from, to), code, "{from} -> {to}");
    }
    let signer = format!("[[ear_signers]]\nkey = \"{KEY}\"\n");
    assert_eq!(files.with(&signer, ""), "DB-REQ-014");
}

#[test]
fn tofu_and_unlogged_keys_need_development() {
    let files = Files::new();
    let text = files
        .text
        .replace("development = true\nsimulator = true\n", "");
    let trust = Trust::parse(&text, &files.dir.path().join("trust.toml")).unwrap();
    assert!(trust.development().is_none());
    let tofu = text.replace("registry", "tofu");
    let error = Trust::parse(&tofu, &files.dir.path().join("trust.toml")).unwrap_err();
    assert_eq!(error.code(), "DB-REQ-017");
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let error = Trust::load(Path::new("/nonexistent/trust.toml")).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-010", Exit::Usage));
    assert!(error.hint().unwrap().contains("duckblind trust init"));
}

#[test]
fn what_is_rendered_parses_to_the_same() {
    let files = Files::new();
    let file = TrustFile::parse(&files.text).unwrap();
    let again = TrustFile::parse(&file.render().unwrap()).unwrap();
    assert_eq!(format!("{file:?}"), format!("{again:?}"));
}
