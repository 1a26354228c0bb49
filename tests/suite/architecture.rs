//! The house's rules that a compiler does not know: who may depend on whom, who may name raw sealing, where
//! `unsafe` may stand, how long a file may be, and that nothing switches the simulator on by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of the house and the crates of the house that it may use.
const ARROWS: [(&str, &[&str]); 10] = [
    ("duckblind-protocol", &[]),
    ("duckblind-attestation", &["duckblind-protocol"]),
    (
        "duckblind-collateral",
        &["duckblind-protocol", "duckblind-attestation"],
    ),
    ("duckblind-lake", &["duckblind-protocol"]),
    (
        "duckblind-engine",
        &["duckblind-protocol", "duckblind-lake"],
    ),
    (
        "duckblind-enclave",
        &[
            "duckblind-protocol",
            "duckblind-attestation",
            "duckblind-lake",
            "duckblind-engine",
        ],
    ),
    (
        "duckblind-host",
        &["duckblind-protocol", "duckblind-attestation"],
    ),
    (
        "duckblind-verifier",
        &[
            "duckblind-protocol",
            "duckblind-attestation",
            "duckblind-collateral",
        ],
    ),
    (
        "duckblind",
        &[
            "duckblind-protocol",
            "duckblind-attestation",
            "duckblind-collateral",
            "duckblind-lake",
            "duckblind-engine",
        ],
    ),
    (
        "duckblind-tests",
        &[
            "duckblind-protocol",
            "duckblind-attestation",
            "duckblind-lake",
            "duckblind-engine",
            "duckblind",
        ],
    ),
];

/// What a crate must not contain even by a detour, and why.
const NEVER: [(&str, &[&str]); 5] = [
    // No I/O in the words that both ends speak.
    (
        "duckblind-protocol",
        &["tokio", "mio", "quinn", "reqwest", "duckdb", "parquet"],
    ),
    // Appraisal is a pure function.
    (
        "duckblind-attestation",
        &["tokio", "mio", "quinn", "reqwest", "hyper", "duckdb"],
    ),
    // What vendors say of platforms has nothing to do with tables.
    (
        "duckblind-collateral",
        &["duckdb", "libduckdb-sys", "parquet", "arrow"],
    ),
    // Data at rest knows no SQL.
    (
        "duckblind-lake",
        &["duckdb", "libduckdb-sys", "quinn", "reqwest"],
    ),
    // The host is blind: nothing that reads tables. It may appraise its own enclave, for its operator.
    (
        "duckblind-host",
        &["duckdb", "libduckdb-sys", "parquet", "arrow"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the project")
        .to_owned()
}

fn metadata() -> Value {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // What other platforms would need is not downloaded here.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn members(metadata: &Value) -> Vec<&Value> {
    let ids: BTreeSet<&str> = list(&metadata["workspace_members"])
        .iter()
        .map(text)
        .collect();
    list(&metadata["packages"])
        .iter()
        .filter(|package| ids.contains(text(&package["id"])))
        .collect()
}

#[test]
fn dependency_arrows_point_down() {
    let metadata = metadata();
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let members = members(&metadata);
    let names: BTreeSet<&str> = members.iter().map(|m| text(&m["name"])).collect();
    assert_eq!(
        names,
        allowed.keys().copied().collect(),
        "crates of the house"
    );
    for member in members {
        let name = text(&member["name"]);
        for dependency in list(&member["dependencies"]) {
            let on = text(&dependency["name"]);
            assert!(
                !names.contains(on) || allowed[name].contains(&on),
                "{name} must not depend on {on}"
            );
        }
    }
}

#[test]
fn detours_lead_nowhere_forbidden() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = list(&metadata["packages"])
        .iter()
        .map(|p| (text(&p["id"]), text(&p["name"])))
        .collect();
    let edges: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = list(&node["deps"])
                .iter()
                .filter(|dep| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null()))
                .map(|dep| text(&dep["pkg"]))
                .collect();
            (text(&node["id"]), normal)
        })
        .collect();
    for (crate_name, never) in NEVER {
        let start = names
            .iter()
            .find(|(_, name)| **name == crate_name)
            .map(|(id, _)| *id)
            .expect("a crate of the house");
        let mut reached = BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for next in &edges[id] {
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        for id in reached {
            assert!(
                !never.contains(&names[id]),
                "{crate_name} contains {}",
                names[id]
            );
        }
    }
}

#[test]
fn no_manifest_switches_the_simulator_on() {
    let metadata = metadata();
    for member in members(&metadata) {
        let name = text(&member["name"]);
        for dependency in list(&member["dependencies"]) {
            let on = list(&dependency["features"])
                .iter()
                .any(|f| text(f).contains("simulator"));
            assert!(
                !on,
                "{name} enables the simulator of {}",
                dependency["name"]
            );
        }
        let default = list(&member["features"]["default"]);
        assert!(
            !default.iter().any(|f| text(f).contains("simulator")),
            "{name} enables the simulator by default"
        );
    }
}

/// All Rust files of the project with their path from its root.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    walk(&path, root, found);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root).expect("below the root");
                found.push((
                    relative.to_string_lossy().into_owned(),
                    fs::read_to_string(&path).expect("a text file"),
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    assert!(found.len() > 50, "the walk finds the project");
    found
}

/// Code without comment lines, and without the test module at its end.
fn code(text: &str) -> String {
    text.split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .split("#[cfg(test)]\n#[allow")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |all, line| all + line + "\n")
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// Whether `hazmat::seal` is named, alone, in a list, by a glob, or through the module itself under any name.
fn names_raw_sealing(code: &str) -> bool {
    code.match_indices("hazmat").any(|(at, word)| {
        let Some(rest) = code[at + word.len()..].strip_prefix("::") else {
            return true;
        };
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split('}').next().unwrap_or_default();
            return ["seal", "self"].iter().any(|name| has_word(list, name)) || list.contains('*');
        }
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        name.is_empty() || name == "seal"
    })
}

#[test]
fn the_search_for_raw_sealing_knows_every_spelling() {
    for named in [
        "use duckblind_protocol::hazmat::seal;",
        "use duckblind_protocol::hazmat::{SealedJob, seal as s};",
        "use duckblind_protocol::hazmat::*;",
        "use duckblind_protocol::hazmat::{self};",
        "use duckblind_protocol::hazmat;",
        "use duckblind_protocol::hazmat as h;",
        "duckblind_protocol::hazmat::seal(key)",
    ] {
        assert!(names_raw_sealing(named), "{named}");
    }
    assert!(!names_raw_sealing(
        "use duckblind_protocol::hazmat::RequesterSession;"
    ));
    assert!(!names_raw_sealing(
        "use duckblind_protocol::hazmat::{RequesterSession, SealError};"
    ));
}

fn is_test_code(path: &str) -> bool {
    path.split('/').any(|part| {
        matches!(part, "tests" | "tests.rs" | "fuzz" | "benches") || part.ends_with("_tests.rs")
    })
}

#[test]
fn only_the_trust_module_names_raw_sealing() {
    let mut named = Vec::new();
    for (path, text) in sources() {
        let defined_there = matches!(
            path.as_str(),
            "protocol/src/lib.rs" | "protocol/src/hazmat.rs"
        );
        if defined_there || is_test_code(&path) || !names_raw_sealing(&code(&text)) {
            continue;
        }
        assert!(
            path.starts_with("requester/src/trust/"),
            "{path} names protocol::hazmat::seal"
        );
        named.push(path);
    }
    assert!(!named.is_empty(), "the search finds the one place that may");
}

#[test]
fn unsafe_stands_in_two_places_only() {
    let mut seen = 0;
    for (path, text) in sources() {
        if !has_word(&code(&text), "unsafe") || path.starts_with("tests/suite/architecture.rs") {
            continue;
        }
        assert!(
            path.starts_with("engine/") || path == "enclave/src/sys.rs",
            "{path} has unsafe code"
        );
        seen += 1;
    }
    assert!(seen > 0, "the search finds the engine");
    for (name, _) in ARROWS {
        let folder = match name {
            "duckblind" => "requester",
            "duckblind-host" => "host-agent",
            other => other.strip_prefix("duckblind-").unwrap_or(other),
        };
        let manifest =
            fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let guarded = manifest.contains("[lints]\nworkspace = true")
            || manifest.contains("unsafe_code = \"forbid\"")
            || folder == "enclave" && manifest.contains("unsafe_code = \"deny\"");
        assert!(
            guarded || folder == "engine",
            "{folder} does not forbid unsafe code"
        );
    }
}

#[test]
fn files_are_short_and_introduce_themselves() {
    let mut lengths = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 800, "{path} has {lines} lines");
        assert!(
            text.trim_start().starts_with("//!") || text.trim_start().starts_with("#!["),
            "{path} does not begin with what it holds"
        );
        if !is_test_code(&path) {
            lengths.push(code(&text).lines().count());
        }
    }
    lengths.sort_unstable();
    let at = |share: usize| lengths[(lengths.len() - 1) * share / 100];
    assert!(at(50) <= 180, "median file: {} lines", at(50));
    assert!(at(90) <= 500, "nine of ten files: {} lines", at(90));
}

#[test]
fn no_file_names_a_package_registry_host() {
    // Spelled in two halves so that this file does not name one.
    let hosts = [["crates", ".io"], ["pypi", ".org"], ["index.crates", ".io"]];
    for (path, text) in sources() {
        for host in hosts {
            assert!(
                !text.contains(&host.concat()),
                "{path} names {}",
                host.concat()
            );
        }
    }
}
