//! Commits and history.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod grow;
mod leftovers;
mod rotation;

use std::fs;

use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::ids::{Digest, FileId};

use super::testing::{Made, copy};
use super::{
    At, Change, LOCK_NAME, Table, TableError, expire, rotate_keys, snapshot_path, snapshots,
};
use crate::keys::{KeyFile, KeyProvider, OwnerKey};
use crate::manifest::{FILE_NAME, Layout, Manifest};
use crate::names::KeyId;
use crate::seal::SealOptions;

const ONE: &str = "{\"n\":1,\"secret\":\"a\"}\n{\"n\":2,\"secret\":\"b\"}\n";
const TWO: &str = "{\"n\":3,\"secret\":\"c\"}\n";

fn made() -> Made {
    Made::new(&[ONE, TWO], SealOptions::default())
}

/// The next snapshot with another content, as its owner signs it.
fn recommit(made: &Made, edit: impl FnOnce(&mut Manifest)) -> Table {
    let change = Change::begin(&made.dir(), &made.owner).unwrap();
    let mut next = change.base().unwrap().manifest().manifest().clone();
    edit(&mut next);
    change.commit(next).unwrap()
}

fn code(result: Result<Table, TableError>) -> &'static str {
    result.err().unwrap().code()
}

#[test]
fn snapshots_time_travel_and_expiry() {
    let made = made();
    let first = made.open(At::Current);
    recommit(&made, |next| next.files.truncate(1));
    let third = recommit(&made, |next| next.files[0].version = Some("v".into()));
    assert_eq!(third.manifest().snapshot, 3);
    assert_eq!(made.open(At::Current).manifest(), third.manifest());
    assert_eq!(made.open(At::Snapshot(3)).manifest(), third.manifest());
    assert_eq!(made.open(At::Snapshot(2)).manifest().files.len(), 1);
    assert_eq!(made.open(At::Snapshot(1)).manifest(), first.manifest());
    assert_eq!(
        made.open(At::Snapshot(1)).manifest_bytes(),
        first.manifest_bytes()
    );
    let owner = made.owner.public();
    for number in [0, 4, u64::MAX] {
        let open = Table::open(&made.dir(), &owner, At::Snapshot(number));
        assert_eq!(code(open), "DB-LAK-095", "{number}");
    }
    let list = snapshots(&made.dir(), &owner).unwrap();
    let short: Vec<_> = list.iter().map(|s| (s.number, s.files)).collect();
    assert_eq!(short, [(3, 1), (2, 1), (1, 2)]);
    assert_eq!(list[2].digest, first.manifest().digest());

    // The file that only snapshot 1 names goes with it.
    let before = made.rows(&third);
    let kept = expire(&made.dir(), &made.owner, 3).unwrap();
    assert_eq!((kept.snapshots, kept.files), (0, 0));
    let gone = expire(&made.dir(), &made.owner, 2).unwrap();
    assert_eq!((gone.snapshots, gone.files), (1, 1));
    assert_eq!(gone.bytes, first.manifest().files[1].size);
    assert_eq!(
        code(Table::open(&made.dir(), &owner, At::Snapshot(1))),
        "DB-LAK-095"
    );
    let gone = expire(&made.dir(), &made.owner, 0).unwrap();
    assert_eq!((gone.snapshots, gone.files), (1, 0));
    assert_eq!(made.rows(&made.open(At::Current)), before);
    assert_eq!(snapshots(&made.dir(), &owner).unwrap().len(), 1);
    // One data file, one manifest.
    assert_eq!(made.tree().len(), 2);
}

#[test]
fn a_history_that_is_not_the_tables_own() {
    let made = made();
    recommit(&made, |next| next.files.truncate(1));
    recommit(&made, |next| next.files[0].version = Some("v".into()));
    let owner = made.owner.public();
    let second = snapshot_path(&made.dir(), 2);
    let first = snapshot_path(&made.dir(), 1);
    let bytes = fs::read(&second).unwrap();

    // Another manifest of the same owner in its place: a rolled-back number, a fork.
    fs::write(&second, fs::read(&first).unwrap()).unwrap();
    let swapped = Table::open(&made.dir(), &owner, At::Snapshot(2));
    assert_eq!(code(swapped), "DB-LAK-096");
    assert_eq!(
        code(Table::open(&made.dir(), &owner, At::Snapshot(1))),
        "DB-LAK-096"
    );
    assert!(snapshots(&made.dir(), &owner).is_err());
    let fork = {
        let mut fork: Manifest = made.open(At::Current).manifest().manifest().clone();
        fork.snapshot = 2;
        fork.previous = Some(Digest::of(&fs::read(&first).unwrap()));
        fork.sign(&made.owner).unwrap()
    };
    fs::write(&second, fork).unwrap();
    assert_eq!(
        code(Table::open(&made.dir(), &owner, At::Snapshot(2))),
        "DB-LAK-096"
    );
    fs::write(&second, &bytes).unwrap();
    assert!(Table::open(&made.dir(), &owner, At::Snapshot(1)).is_ok());

    // An old manifest as the current one.
    let current = fs::read(made.dir().join(FILE_NAME)).unwrap();
    fs::write(made.dir().join(FILE_NAME), fs::read(&first).unwrap()).unwrap();
    assert_eq!(
        code(Table::open(&made.dir(), &owner, At::Current)),
        "DB-LAK-094"
    );
    assert!(matches!(
        Change::begin(&made.dir(), &made.owner),
        Err(TableError::RolledBack {
            current: 1,
            newest: 2,
            ..
        })
    ));
    fs::write(made.dir().join(FILE_NAME), &current).unwrap();

    // A manifest whose predecessor was signed wrongly.
    let mut wrong: Manifest = made.open(At::Current).manifest().manifest().clone();
    wrong.previous = Some(Digest::of(b"nothing"));
    let wrong = wrong.sign(&made.owner).unwrap();
    fs::write(made.dir().join(FILE_NAME), wrong).unwrap();
    assert!(Table::open(&made.dir(), &owner, At::Current).is_ok());
    assert_eq!(
        code(Table::open(&made.dir(), &owner, At::Snapshot(2))),
        "DB-LAK-096"
    );

    // Another owner.
    let other = OwnerKey::generate().unwrap();
    assert_eq!(
        code(Table::open(&made.dir(), &other.public(), At::Current)),
        "DB-LAK-025"
    );
    assert!(Change::begin(&made.dir(), &other).is_err());
    let none = tempfile::tempdir().unwrap();
    assert_eq!(
        code(Table::open(none.path(), &owner, At::Current)),
        "DB-LAK-090"
    );
    assert!(Change::begin(none.path(), &made.owner).is_err());
    assert_eq!(fs::read_dir(none.path()).unwrap().count(), 0);
}

#[test]
fn lies_about_files_are_found_before_a_row_is_read() {
    type Lie = fn(&mut Manifest);
    let lies: [(&str, Lie); 6] = [
        ("DB-LAK-061", |m| m.files[0].size += 1),
        ("DB-LAK-065", |m| m.files[0].footer_digest = Digest::of(b"")),
        ("DB-LAK-006", |m| {
            m.files[0].file_id = FileId::from_bytes([9; 16]);
        }),
        ("DB-LAK-061", |m| {
            let other = m.files[1].path.clone();
            m.files[1].path = std::mem::replace(&mut m.files[0].path, other);
        }),
        ("DB-LAK-006", |m| {
            let keys = m.files[1].wrapped_keys.clone();
            m.files[1].wrapped_keys = std::mem::replace(&mut m.files[0].wrapped_keys, keys);
        }),
        ("DB-LAK-060", |m| m.files[0].path = "gone.parquet".into()),
    ];
    for (at, (expected, lie)) in lies.into_iter().enumerate() {
        let made = made();
        let table = recommit(&made, lie);
        let opened = table.open_file(&table.manifest().files[0], &made.keys);
        let error = opened.err().unwrap();
        assert_eq!(error.code(), expected, "lie {at}: {error}");
    }
    // Files of one size, swapped on disk.
    let made = Made::new(&[ONE, ONE], SealOptions::default());
    let table = made.open(At::Current);
    let [one, two] = &table.manifest().files[..] else {
        panic!("two files")
    };
    assert_eq!(one.size, two.size);
    let (one_at, two_at) = (made.dir().join(&one.path), made.dir().join(&two.path));
    let aside = made.dir().join("aside");
    fs::rename(&one_at, &aside).unwrap();
    fs::rename(&two_at, &one_at).unwrap();
    fs::rename(&aside, &two_at).unwrap();
    let error = table.open_file(one, &made.keys).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-065");
    assert!(error.to_string().contains("table `t`") && error.to_string().contains(&one.path));
}
