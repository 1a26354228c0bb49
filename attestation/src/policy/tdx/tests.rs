//! The TDX section of policies, and the policy for production that stands on it.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::coded::Coded as _;

use super::super::{Policy, PolicyError};
use super::*;

const TEMPLATE: &str = include_str!("../../../../policies/production-tdx.toml");

fn image(rtmr0: &str) -> String {
    let hex = "cd".repeat(48);
    format!(
        "{{ mrtd = \"{hex}\", rtmr0 = \"{rtmr0}\", rtmr1 = \"{hex}\", rtmr2 = \"{hex}\", \
         rtmr3 = \"zero\" }}"
    )
}

fn filled() -> String {
    let release = format!("\nreleases = [\"{}\"]", "ef".repeat(32));
    let images = format!("\nimages = [{}]", image("event-log"));
    TEMPLATE
        .replacen("\nreleases = []", &release, 1)
        .replacen("\nimages = []", &images, 1)
}

/// The filled template with one replacement, which must be one.
#[track_caller]
fn edited(from: &str, to: &str) -> Result<Policy, PolicyError> {
    let text = filled();
    assert!(text.contains(from), "{from}");
    Policy::parse(&text.replacen(from, to, 1))
}

#[track_caller]
fn refused(from: &str, to: &str, code: &str) -> PolicyError {
    let error = edited(from, to).unwrap_err();
    assert_eq!(error.code(), code, "{from} {to}: {error:?}");
    error
}

#[test]
fn the_policy_for_production() {
    let policy = Policy::parse(&filled()).unwrap();
    assert_eq!(policy.name(), "production-tdx");
    assert!(!policy.is_development());
    assert_eq!(policy.roots(), [INTEL_ROOT]);
    assert_eq!(policy.measurements().len(), 1);
    assert!(policy.snp.is_none());
    // As it is in the repository, it accepts nothing.
    assert_eq!(Policy::parse(TEMPLATE).unwrap_err().code(), "DB-ATT-045");
}

#[test]
fn no_key_has_a_default() {
    let text = filled();
    let section = text.split("\n[tdx]").nth(1).unwrap();
    let mut tried = 0;
    for line in section.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        if line.starts_with('#') || value.ends_with('[') {
            continue;
        }
        let without = text.replacen(&format!("\n{line}\n"), "\n", 1);
        let error = Policy::parse(&without).unwrap_err();
        assert!(
            matches!(&error, PolicyError::Missing { path } if path.ends_with(key)),
            "{key}: {error:?}"
        );
        tried += 1;
    }
    assert!(tried > 45, "{tried}");
    for key in ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"] {
        let mistyped = image("zero").replacen(key, &format!("x{key}"), 1);
        let error = refused(&image("event-log"), &mistyped, "DB-ATT-042");
        assert_eq!(error.hint().unwrap(), format!("did you mean \"{key}\"?"));
        assert!(error.to_string().contains("tdx.images[0]"), "{error}");
    }
}

#[test]
fn only_intel_s_root_is_a_real_one() {
    let root = INTEL_ROOT.to_string();
    refused(
        &format!("\nroots = [\"{root}\"]"),
        &format!("\nroots = [\"{}\"]", "ab".repeat(32)),
        "DB-ATT-046",
    );
    refused(
        &format!("\nroots = [\"{root}\"]"),
        "\nroots = []",
        "DB-ATT-045",
    );
    let simulated = format!("\nsimulator_roots = [\"{}\"]", "ab".repeat(32));
    refused("\nsimulator_roots = []", &simulated, "DB-ATT-047");
    let development = filled().replacen("development = false", "development = true", 1);
    let development = development.replacen("\nsimulator_roots = []", &simulated, 1);
    let known = if cfg!(feature = "simulator") { 2 } else { 1 };
    assert_eq!(Policy::parse(&development).unwrap().roots().len(), known);
}

#[test]
fn a_section_for_what_is_not_listed() {
    let error = refused("tees = [\"tdx\"]", "tees = [\"sev-snp\"]", "DB-ATT-043");
    assert_eq!(error.to_string(), "key snp is missing in the policy");
}

#[test]
fn images_and_registers() {
    for good in ["zero", &"01".repeat(48)] {
        assert!(edited("rtmr0 = \"event-log\"", &format!("rtmr0 = \"{good}\"")).is_ok());
    }
    for bad in ["\"any\"", "\"\"", "\"01\"", "7", "[\"zero\"]"] {
        refused(
            "rtmr0 = \"event-log\"",
            &format!("rtmr0 = {bad}"),
            "DB-ATT-044",
        );
    }
    // What is launched is known, always.
    let mrtd = format!("mrtd = \"{}\"", "cd".repeat(48));
    for bad in ["event-log", "zero"] {
        refused(&mrtd, &format!("mrtd = \"{bad}\""), "DB-ATT-044");
    }
    let one = format!("images = [{}]", image("event-log"));
    refused(&one, "images = []", "DB-ATT-045");
    refused(&one, "images = [\"zero\"]", "DB-ATT-044");
    refused(&one, "images = 1", "DB-ATT-044");
    let two = format!("images = [{}, {}]", image("zero"), image("event-log"));
    assert_eq!(edited(&one, &two).unwrap().measurements().len(), 2);
}

#[test]
fn events() {
    let event = format!("rtmr2:{}", "01".repeat(48));
    for key in ["required", "allowed"] {
        let list = |event: &str| format!("\n{key} = [\"{event}\"]");
        assert!(edited(&format!("\n{key} = []"), &list(&event)).is_ok());
        for bad in ["", "rtmr2:", "rtmr4:", "rtmr2:01", &"01".repeat(48)] {
            refused(&format!("\n{key} = []"), &list(bad), "DB-ATT-044");
        }
    }
    assert!(edited("free_registers = []", "free_registers = [\"rtmr0\"]").is_ok());
    let error = refused(
        "free_registers = []",
        "free_registers = [\"rtmr5\"]",
        "DB-ATT-044",
    );
    assert!(error.hint().unwrap().starts_with("did you mean \"rtmr"));
}

#[test]
fn values_that_are_none() {
    for (from, to) in [
        ("quote_versions = [4, 5]", "quote_versions = [3]"),
        ("modules = [\"any\"]", "modules = [\"any\", \"any\"]"),
        ("modules = [\"any\"]", "modules = [\"zero\"]"),
        ("attributes = []", "attributes = [\"debug\"]"),
        ("[\"avx\", ", "[\"axv\", "),
        (
            "config_ids = [\"zero\", \"config\"]",
            "config_ids = [\"any\"]",
        ),
        ("owners = [\"zero\"]", "owners = [\"any\"]"),
        ("statuses = [\"UpToDate\"]", "statuses = [\"Revoked\"]"),
        ("statuses = [\"UpToDate\"]", "statuses = [\"uptodate\"]"),
        (
            "accepted_advisories = []",
            "accepted_advisories = [\"any\"]",
        ),
        (
            "denied_advisories = []",
            "denied_advisories = [\"CVE-2025-1\"]",
        ),
        ("min_evaluation = 20", "min_evaluation = -1"),
        (
            "platform_grace_days = 0",
            "platform_grace_days = 5_000_000_000",
        ),
        ("allow_smt = true", "allow_smt = \"yes\""),
        ("[\"scalable\", ", "[\"scaleable\", "),
        ("\nids = [\"any\"]", "\nids = [\"00\"]"),
        ("\nfmspcs = [\"any\"]", "\nfmspcs = [\"00906ed5\"]"),
    ] {
        refused(from, to, "DB-ATT-044");
    }
}

#[test]
fn lists_that_must_not_be_empty() {
    for list in [
        "quote_versions = [4, 5]",
        "modules = [\"any\"]",
        "config_ids = [\"zero\", \"config\"]",
        "owners = [\"zero\"]",
        "owner_configs = [\"zero\"]",
        "statuses = [\"UpToDate\"]",
        "memory = [\"scalable\", \"scalable-with-integrity\"]",
        "\nids = [\"any\"]",
        "\nfmspcs = [\"any\"]",
    ] {
        let (key, _) = list.split_once(" = ").unwrap();
        refused(list, &format!("{key} = []"), "DB-ATT-045");
    }
}
