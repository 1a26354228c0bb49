//! `duckblind attest verify --vectors`, as an auditor runs it: over the evidence of real machines, and
//! over the same evidence with a byte changed.

use std::fs;
use std::path::Path;

use duckblind_tests::binaries::{product_program, run_root};
use duckblind_tests::command::{self, Ran};
use duckblind_tests::running;
use duckblind_tests::vectors;

fn verify(home: &Path, folder: &Path) -> Ran {
    let mut command = command::command(&product_program("duckblind"), home);
    command.args(["attest", "verify", "--json", "--vectors"]);
    command.arg(folder);
    command::run(command, b"")
}

fn outcomes(ran: &Ran) -> Vec<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_str(&ran.text()).unwrap();
    value["outcomes"].as_array().unwrap().clone()
}

#[test]
fn evidence_of_real_machines_has_its_listed_outcomes() {
    let _test = running::test("test vectors");
    let Some(folder) = vectors::root("snp/normalized") else {
        return;
    };
    let home = tempfile::tempdir_in(run_root()).unwrap();
    let home = home.path();
    let all = verify(home, &folder).ok();
    let all = outcomes(&all);
    assert!(all.len() >= 50, "{}", all.len());

    // One kind of platform alone, from another place; then with one byte of one report changed.
    let copy = home.join("copy");
    let normalized = copy.join("snp").join("normalized");
    fs::create_dir_all(&normalized).unwrap();
    for file in fs::read_dir(folder.join("snp").join("normalized")).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, normalized.join(path.file_name().unwrap())).unwrap();
    }
    let half = verify(home, &copy).ok();
    let half = outcomes(&half);
    assert!(half.len() < all.len());
    let report = normalized.join("project-oak_oak__genoa_oc_evidence.report.bin");
    let mut bytes = fs::read(&report).unwrap();
    // A reserved byte of the reported version, which parsers that re-encode overlook.
    bytes[0x182] ^= 1;
    fs::write(&report, bytes).unwrap();
    let ran = verify(home, &copy);
    assert_eq!(ran.code, 10, "{}", ran.stderr);
    let differ = outcomes(&ran);
    let differ: Vec<_> = differ.iter().filter(|one| one["agrees"] == false).collect();
    assert_eq!(differ.len(), 1, "{differ:?}");
    assert_eq!(differ[0]["case"], "project-oak_oak__genoa_oc_evidence");
    assert_eq!(differ[0]["ours"], "reject");
}
