//! Policies that parse and the many that do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use duckblind_protocol::coded::Coded;

use super::*;
use crate::snp::Generation;

const TEMPLATE: &str = include_str!("../../../policies/development.toml");

/// An image of the TDX section; `#` is for a measurement.
const IMAGE: &str = "{ mrtd = \"#\", rtmr0 = \"#\", rtmr1 = \"event-log\", rtmr2 = \"zero\", \
    rtmr3 = \"zero\" }";

fn filled() -> String {
    TEMPLATE
        .replace(
            "\nsimulator_roots = []",
            &format!("\nsimulator_roots = [\"{}\"]", "ab".repeat(32)),
        )
        .replacen(
            "\nimages = []",
            &format!("\nimages = [{}]", IMAGE.replace('#', &"cd".repeat(48))),
            1,
        )
        .replacen(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "cd".repeat(48)),
            1,
        )
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "ef".repeat(32)),
            1,
        )
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
    let Err(error) = edited(from, to) else {
        panic!("accepted: {to}");
    };
    assert_eq!(error.code(), code, "{error:?}");
    error
}

#[test]
fn the_template_is_filled_and_named_by_its_bytes() {
    let text = filled();
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.id(), Digest::of(text.as_bytes()));
    assert_eq!(policy.name(), "development");
    assert!(policy.is_development());
    // The binary as an SEV-SNP guest, and as a TDX guest.
    assert_eq!(policy.measurements().len(), 2);
    assert_eq!(policy.releases().len(), 1);
    let other = Policy::parse(&format!("{text}\n# a comment\n")).unwrap();
    assert_ne!(other.id(), policy.id());
}

#[test]
fn the_bare_template_accepts_nothing() {
    assert_eq!(Policy::parse(TEMPLATE).unwrap_err().code(), "DB-ATT-045");
}

#[test]
fn simulated_roots_exist_only_in_builds_that_know_simulators() {
    let policy = Policy::parse(&filled()).unwrap();
    let known = if cfg!(feature = "simulator") { 2 } else { 0 };
    assert_eq!(policy.roots().len(), known);
}

#[test]
fn mistyped_keys_get_a_suggestion() {
    for (from, to, meant) in [
        ("\nmeasurements = ", "\nmeasurments = ", "measurements"),
        ("\n[snp]", "\n[spn]", "snp"),
        ("\nsimulator_roots", "\nsimulator_root", "simulator_roots"),
        ("\nvmpls", "\nvmpl", "vmpls"),
        ("\nallow_smt", "\nallow_stm", "allow_smt"),
        ("\nmicrocode", "\nmikrocode", "microcode"),
        (
            "\n[snp.tcb_floors.genoa]",
            "\n[snp.tcb_floors.gena]",
            "genoa",
        ),
        ("\nwalls", "\nwall", "walls"),
        ("\nmax_jobs", "\nmaxjobs", "max_jobs"),
        ("\nrequire_crl", "\nrequired_crl", "require_crl"),
        ("\ndenied_chips", "\ndenied_chip", "denied_chips"),
        ("\n[snp.platform]", "\n[snp.platfrom]", "platform"),
        ("\nepoch_ms", "\nepochms", "epoch_ms"),
    ] {
        let error = refused(from, to, "DB-ATT-042");
        let hint = error.hint().unwrap_or_default();
        assert_eq!(hint, format!("did you mean \"{meant}\"?"), "{to}");
    }
}

#[test]
fn keys_that_nobody_could_have_meant() {
    let error = refused("\nname =", "\ncolour = \"red\"\nname =", "DB-ATT-042");
    assert!(!error.hint().unwrap().contains("did you mean"));
    assert_eq!(error.to_string(), "unknown key colour in the policy");
}

#[test]
fn no_key_has_a_default() {
    let text = filled();
    let mut tried = 0;
    for line in text.lines() {
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
    assert!(tried > 40, "{tried}");
}

#[test]
fn mistyped_values_get_a_suggestion() {
    for (from, to, meant) in [
        ("\"no-new-privs\"", "\"no-new-priv\"", "no-new-privs"),
        ("[\"genoa\"]", "[\"genova\"]", "genoa"),
        ("[\"vcek\"]", "[\"vceks\"]", "vcek"),
        ("[\"process\"]", "[\"proces\"]", "process"),
        ("[\"boottime\"]", "[\"boot-time\"]", "boottime"),
        ("[\"local-fake\"]", "[\"local_fake\"]", "local-fake"),
        ("[\"sev-snp\", ", "[\"sev_snp\", ", "sev-snp"),
    ] {
        let error = refused(from, to, "DB-ATT-044");
        assert_eq!(error.hint().unwrap(), format!("did you mean \"{meant}\"?"));
    }
}

#[test]
fn values_of_the_wrong_kind() {
    for (from, to) in [
        ("version = 2", "version = \"2\""),
        ("development = true", "development = \"yes\""),
        ("name = \"development\"", "name = 1"),
        ("tees = [\"sev-snp\", \"tdx\"]", "tees = \"sev-snp\""),
        ("vmpls = [0]", "vmpls = [-1]"),
        ("vmpls = [0]", "vmpls = [0, 0]"),
        // What reports say that the host asked for.
        ("vmpls = [0]", "vmpls = [4294967295]"),
        ("vmpls = [0]", "vmpls = [4]"),
        ("[3, 4, 5]", "[1]"),
        ("[3, 4, 5]", "[3, 4, 5, 6]"),
        ("firmware = \"1.55.0\"", "firmware = \"1.55\""),
        ("firmware = \"1.55.0\"", "firmware = 1"),
        ("launch_mitigations = 0", "launch_mitigations = -1"),
        ("\nhost_data = [\"zero\"]", "\nhost_data = [\"00\"]"),
        ("\nchips = [\"any\"]", "\nchips = [\"zero\"]"),
        (
            "\nchips = [\"any\"]",
            "\nchips = [\"any\", \"0101010101010101\"]",
        ),
        ("\nchips = [\"any\"]", "\nchips = [\"0101\"]"),
        ("denied_chips = []", "denied_chips = [\"any\"]"),
        ("bootloader = 10", "bootloader = 256"),
        ("threads = 1024", "threads = -1"),
        ("allow_smt = true", "allow_smt = 1"),
        ("requesters = [\"any\"]", "requesters = [\"some\"]"),
        (&format!("[\"{}\"]", "cd".repeat(48)), "[\"cd\"]"),
    ] {
        let error = refused(from, to, "DB-ATT-044");
        assert!(error.expected().is_some() && error.got().is_some());
    }
    let key = "01".repeat(32);
    let list = format!("requesters = [\"any\", \"{key}\"]");
    refused("requesters = [\"any\"]", &list, "DB-ATT-044");
}

#[test]
fn lists_that_must_not_be_empty() {
    for list in [
        "tees = [\"sev-snp\", \"tdx\"]",
        "suites = [\"xwing-hkdf-sha256-aes256gcm\"]",
        "generations = [\"genoa\"]",
        "report_versions = [3, 4, 5]",
        "vmpls = [0]",
        "signing_keys = [\"vcek\"]",
        "host_data = [\"zero\"]",
        "family_ids = [\"zero\"]",
        "image_ids = [\"zero\"]",
        "id_keys = [\"zero\"]",
        "author_keys = [\"zero\"]",
        "chips = [\"any\"]",
        "backends = [\"process\"]",
        "engines = [\"duckdb 2.0.0\"]",
        "clocks = [\"boottime\"]",
        "providers = [\"local-fake\"]",
        "requesters = [\"any\"]",
    ] {
        let (key, _) = list.split_once(" = ").unwrap();
        let error = refused(list, &format!("{key} = []"), "DB-ATT-045");
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn a_generation_needs_its_floor() {
    refused("[\"genoa\"]", "[\"genoa\", \"milan\"]", "DB-ATT-043");
    let turin = "[\"turin\"]";
    assert!(edited("[\"genoa\"]", turin).is_err());
}

#[test]
fn clouds_keys_need_a_cloud() {
    let both = "signing_keys = [\"vcek\", \"vlek\"]";
    let error = refused("signing_keys = [\"vcek\"]", both, "DB-ATT-045");
    assert!(error.to_string().contains("csp_ids"), "{error}");
}

#[test]
fn chips_are_listed_in_either_length() {
    let long = format!("{}{}", "01".repeat(8), "00".repeat(56));
    for id in ["01".repeat(8), long] {
        let list = format!("\nchips = [\"{id}\"]");
        let policy = edited("\nchips = [\"any\"]", &list).unwrap();
        let chips = policy.snp.unwrap().platform.chips;
        let mut chip = [0; 64];
        chip[..8].fill(1);
        assert!(chips.takes(&chip));
        chip[8] = 1;
        assert!(!chips.takes(&chip));
    }
}

const PRODUCTION: &str = include_str!("../../../policies/production-snp.toml");

#[test]
fn the_production_template_accepts_nothing() {
    assert_eq!(Policy::parse(PRODUCTION).unwrap_err().code(), "DB-ATT-045");
}

#[test]
fn the_production_template_filled_in() {
    let text = PRODUCTION
        .replacen(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "cd".repeat(48)),
            1,
        )
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "ef".repeat(32)),
            1,
        );
    let policy = Policy::parse(&text).unwrap();
    assert!(!policy.is_development());
    let roots = [Generation::Genoa, Generation::Turin].map(Generation::root);
    assert_eq!(policy.roots(), roots);
    let snp = policy.snp.unwrap();
    assert!(snp.require_crl);
    assert!(!snp.generations.contains(&Generation::Milan));
    assert!(!snp.report_versions.contains(&2));
    // Every key of the one template stands in those for production.
    let keys = |text: &str| -> std::collections::BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        let lines = lines.filter(|(key, _)| !key.starts_with('#'));
        lines.map(|(key, _)| key.to_owned()).collect()
    };
    let mut production = keys(&text);
    production.extend(keys(include_str!("../../../policies/production-tdx.toml")));
    let missing: Vec<_> = keys(TEMPLATE).difference(&production).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_strict_policy_built_in_is_the_template() {
    let snp = SnpPolicy::production().unwrap();
    assert!(snp.require_crl);
    assert_eq!(
        snp.generations.as_slice(),
        [Generation::Genoa, Generation::Turin]
    );
}

#[test]
fn only_amd_s_roots_are_real_ones() {
    let with = |digest: &str| edited("\nroots = []", &format!("\nroots = [\"{digest}\"]"));
    for generation in Generation::ALL {
        let policy = with(&generation.root().to_string()).unwrap();
        assert!(policy.roots().contains(&generation.root()));
    }
    assert_eq!(with(&"ab".repeat(32)).unwrap_err().code(), "DB-ATT-046");
}

#[test]
fn simulated_roots_only_in_development() {
    refused("development = true", "development = false", "DB-ATT-047");
}

#[test]
fn other_versions_and_other_things() {
    for other in [1, 3] {
        refused("version = 2", &format!("version = {other}"), "DB-ATT-048");
    }
    assert_eq!(Policy::parse("a = [").unwrap_err().code(), "DB-ATT-040");
    let long = "#".repeat(MAX_POLICY + 1);
    assert_eq!(Policy::parse(&long).unwrap_err().code(), "DB-ATT-041");
}

#[cfg(feature = "simulator")]
#[test]
fn filling_the_template_keeps_its_comments() {
    let (digest, snp, tdx) = (Digest::of(b"x"), Digest::of(b"snp"), Digest::of(b"tdx"));
    let roots = [crate::simulator::Roots { snp, tdx }];
    let measurement = Measurement::from_bytes([1; 48]);
    let text = fill_development(
        TEMPLATE,
        &roots,
        &[measurement, Measurement::from_bytes([2; 48])],
        &[digest],
    );
    let text = text.unwrap();
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.roots(), [snp, tdx]);
    assert_eq!(policy.measurements().len(), 4);
    let comments = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(comments(&text), comments(TEMPLATE));
    let error = fill_development("version = 1", &roots, &[measurement], &[digest]);
    assert_eq!(error.unwrap_err().code(), "DB-ATT-049");
    let error = fill_development(TEMPLATE, &roots, &[], &[digest]);
    assert_eq!(error.unwrap_err().code(), "DB-ATT-045");
}

proptest::proptest! {
    #[test]
    fn hostile_text_never_panics(text in "\\PC{0,200}") {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn damaged_policies_never_panic(at in proptest::prelude::any::<proptest::sample::Index>(), with in "\\PC{0,3}") {
        let mut text = filled();
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &with);
        let _ = Policy::parse(&text);
    }
}
