//! Both platforms in one directory.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use duckblind_protocol::coded::Coded;

use super::*;
use crate::testing::platform_dir;

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in files(platform_dir()).keys() {
        fs::copy(platform_dir().join(name), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn all_files_are_private() {
    let names = files(platform_dir());
    assert_eq!(names.len(), 5 + 4 + 1);
    for name in names.keys() {
        let metadata = fs::metadata(platform_dir().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn made_once() {
    let before = files(platform_dir());
    let roots = create(platform_dir()).unwrap();
    assert_eq!(files(platform_dir()), before);
    assert_eq!(roots, super::roots(platform_dir()).unwrap());
    let (snp, tdx) = (
        SimulatedSnp::open(platform_dir()).unwrap(),
        SimulatedTdx::open(platform_dir()).unwrap(),
    );
    assert_eq!((snp.root(), tdx.root()), (roots.snp, roots.tdx));
    assert_eq!(snp.measurement(), tdx.measurement());
}

#[test]
fn many_at_once_make_one() {
    let dir = tempfile::tempdir().unwrap();
    // A directory that is not there yet, and of which only the slow keys are.
    let place = dir.path().join("new/platform");
    fs::create_dir_all(&place).unwrap();
    for name in ["ark.der", "ask.der", "crl.der", "vcek.der", "vcek.key"] {
        fs::copy(platform_dir().join(name), place.join(name)).unwrap();
    }
    let made: Vec<Roots> = thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| create(&place))).collect();
        all.into_iter()
            .map(|one| one.join().unwrap().unwrap())
            .collect()
    });
    assert!(made.iter().all(|roots| *roots == made[0]));
    assert_eq!(made[0].snp, roots(platform_dir()).unwrap().snp);
    assert_ne!(made[0].tdx, roots(platform_dir()).unwrap().tdx);
    SimulatedTdx::open(&place).unwrap();
}

#[test]
fn what_is_missing_is_made_anew_as_a_whole() {
    for name in [
        "tdx-root.der",
        "tdx-pck-chain.pem",
        "tdx-collateral.cbor",
        "tdx-pck.key",
    ] {
        let dir = copy();
        let old = files(dir.path());
        fs::remove_file(dir.path().join(name)).unwrap();
        assert_eq!(
            SimulatedTdx::open(dir.path()).unwrap_err().code(),
            "DB-ATT-061"
        );
        create(dir.path()).unwrap();
        for (name, bytes) in files(dir.path()) {
            let same = old.get(&name) == Some(&bytes);
            assert_eq!(same, !name.starts_with("tdx-"), "{name}");
        }
    }
}

#[test]
fn damaged_and_open_files() {
    for name in ["tdx-pck-chain.pem", "tdx-collateral.cbor", "tdx-pck.key"] {
        for content in [vec![0xff; 100], vec![b'x'; 100_000]] {
            let dir = copy();
            fs::write(dir.path().join(name), content).unwrap();
            let error = SimulatedTdx::open(dir.path()).unwrap_err();
            assert_eq!(error.code(), "DB-ATT-063", "{name}");
        }
        let dir = copy();
        let open = fs::Permissions::from_mode(0o604);
        fs::set_permissions(dir.path().join(name), open).unwrap();
        let error = SimulatedTdx::open(dir.path()).unwrap_err();
        assert_eq!(error.code(), "DB-ATT-062", "{name}");
    }
}
