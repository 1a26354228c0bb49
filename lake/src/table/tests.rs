//! Commits, locks, history and rotation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod grow;

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

#[test]
fn one_writer_at_a_time() {
    let made = made();
    let before = made.tree();
    let writer = Change::begin(&made.dir(), &made.owner).unwrap();
    let error = Change::begin(&made.dir(), &made.owner).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-092");
    assert!(error.to_string().contains(LOCK_NAME));
    // Readers do not mind.
    made.rows(&made.open(At::Current));
    drop(writer);
    let again = Change::begin(&made.dir(), &made.owner).unwrap();

    // Somebody writes without the lock.
    let mut other: Manifest = made.open(At::Current).manifest().manifest().clone();
    other.files.truncate(1);
    let other = other.sign(&made.owner).unwrap();
    let current = fs::read(made.dir().join(FILE_NAME)).unwrap();
    fs::write(made.dir().join(FILE_NAME), &other).unwrap();
    let next = again.base().unwrap().manifest().manifest().clone();
    assert_eq!(code(again.commit(next)), "DB-LAK-093");
    assert_eq!(fs::read(made.dir().join(FILE_NAME)).unwrap(), other);
    fs::write(made.dir().join(FILE_NAME), current).unwrap();
    assert_eq!(made.tree(), before);
}

#[test]
fn a_new_table_in_no_other_ones_place() {
    let made = made();
    let create = |made: &Made| Change::create(&made.dir(), &made.owner).err();
    assert_eq!(create(&made).unwrap().code(), "DB-LAK-045");
    recommit(&made, |_| {});
    fs::remove_file(made.dir().join(FILE_NAME)).unwrap();
    let before = made.tree();
    assert_eq!(create(&made).unwrap().code(), "DB-LAK-045");
    assert_eq!(made.tree(), before);
    // Nothing is left of a table that was given up.
    let none = tempfile::tempdir().unwrap();
    let dir = none.path().join("a/b");
    let change = Change::create(&dir, &made.owner).unwrap();
    assert!(matches!(
        Change::create(&dir, &made.owner),
        Err(TableError::Locked { .. })
    ));
    drop(change);
    assert_eq!(fs::read_dir(none.path()).unwrap().count(), 0);
}

#[test]
fn files_of_a_lost_manifest_stay() {
    let partitioned = SealOptions {
        layout: Layout {
            partition_by: vec!["n".into()],
            ..Layout::default()
        },
        ..SealOptions::default()
    };
    for options in [SealOptions::default(), partitioned] {
        let made = Made::new(&[ONE], options);
        let dir = made.dir();
        fs::remove_file(dir.join(FILE_NAME)).unwrap();
        fs::write(dir.join(".x.sealing"), "").unwrap();
        let before = made.tree();
        for lock in [true, false] {
            if !lock {
                let _ = fs::remove_file(dir.join(LOCK_NAME));
            }
            let error = Change::create(&dir, &made.owner).err().unwrap();
            assert_eq!(error.code(), "DB-LAK-045");
            assert_eq!(made.tree(), before);
        }
    }
}

#[test]
fn files_of_a_killed_first_seal_go() {
    let made = Made::keys_only();
    let dir = made.dir();
    // What a writer leaves behind that was killed: the lock as it was, and files.
    let first = Change::create(&dir, &made.owner).unwrap();
    let lock = fs::read(dir.join(LOCK_NAME)).unwrap();
    drop(first);
    let killed = tempfile::tempdir().unwrap();
    let dir = killed.path();
    let left = |name: &str| fs::write(dir.join(name), "x").unwrap();
    fs::write(dir.join(LOCK_NAME), lock).unwrap();
    fs::create_dir(dir.join("n=1")).unwrap();
    left("part-00000-0123abcd.parquet");
    left("n=1/part-00001-0123abcd.parquet");
    left(".part-00002-0123abcd.parquet.sealing");
    left("notes.txt");
    drop(Change::create(dir, &made.owner).unwrap());
    let names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["notes.txt"]);
    // The mark ends with the first commit.
    let made = self::made();
    assert_eq!(fs::read(made.dir().join(LOCK_NAME)).unwrap(), b"");
}

#[test]
fn nothing_is_removed_through_a_link() {
    let made = Made::new(
        &[ONE],
        SealOptions {
            layout: Layout {
                partition_by: vec!["n".into()],
                ..Layout::default()
            },
            ..SealOptions::default()
        },
    );
    let dir = made.dir();
    recommit(&made, |next| next.files.truncate(1));
    let gone = &made.open(At::Snapshot(1)).manifest().files[1].path.clone();
    let (folder, name) = gone.split_once('/').unwrap();
    // The directory is somewhere else now.
    let other = tempfile::tempdir().unwrap();
    let target = other.path().join("target");
    fs::rename(dir.join(folder), &target).unwrap();
    std::os::unix::fs::symlink(&target, dir.join(folder)).unwrap();
    fs::write(target.join("part-00009-0123abcd.parquet"), "x").unwrap();
    let error = expire(&dir, &made.owner, 1).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-091");
    assert!(target.join(name).exists());
    assert!(target.join("part-00009-0123abcd.parquet").exists());
}

#[test]
fn leftovers_go_and_nothing_else() {
    let made = made();
    recommit(&made, |next| next.files.truncate(1));
    let before = made.tree();
    let dir = made.dir();
    fs::create_dir_all(dir.join("n=1/w=x")).unwrap();
    fs::create_dir_all(dir.join("n=2")).unwrap();
    fs::create_dir_all(dir.join("other")).unwrap();
    let leftovers = [
        "part-00002-0123abcd.parquet",
        ".part-00002-0123abcd.parquet.sealing",
        "._sealed.json.sealing",
        "n=1/w=x/part-00003-0123abcd.parquet",
        "_snapshots/.1.json.sealing",
    ];
    let others = [
        "notes.txt",
        "part-x.parquet",
        "other/part-00003-0123abcd.parquet",
        "n=2/mine.parquet",
    ];
    for name in leftovers.iter().chain(&others) {
        fs::write(dir.join(name), name).unwrap();
    }
    drop(Change::begin(&dir, &made.owner).unwrap());
    let mut after = made.tree();
    for name in others {
        assert!(after.remove(&dir.join(name)).is_some(), "{name}");
    }
    assert_eq!(after, before);
    assert!(!dir.join("n=1").exists() && dir.join("n=2").exists());

    // Where a snapshot cannot be read, no data file is taken for a leftover.
    fs::write(snapshot_path(&dir, 1), "{}").unwrap();
    fs::write(dir.join(leftovers[0]), "x").unwrap();
    drop(Change::begin(&dir, &made.owner).unwrap());
    assert!(dir.join(leftovers[0]).exists());
}

#[test]
fn killed_between_the_steps_of_a_commit() {
    let made = made();
    let old = made.open(At::Current);
    // What a writer leaves behind that was killed after each step.
    let steps: [fn(&std::path::Path, &[u8]); 3] = [
        |dir, new| fs::write(dir.join("._sealed.json.sealing"), &new[..new.len() / 2]).unwrap(),
        |dir, new| {
            fs::write(dir.join("._sealed.json.sealing"), new).unwrap();
            fs::create_dir(dir.join("_snapshots")).unwrap();
        },
        |dir, new| {
            fs::write(dir.join("._sealed.json.sealing"), new).unwrap();
            fs::create_dir(dir.join("_snapshots")).unwrap();
            fs::copy(dir.join(FILE_NAME), snapshot_path(dir, 1)).unwrap();
        },
    ];
    let new = {
        let mut next = old.manifest().manifest().clone();
        next.snapshot = 2;
        next.previous = Some(old.manifest().digest());
        next.sign(&made.owner).unwrap()
    };
    for (at, step) in steps.into_iter().enumerate() {
        let killed = tempfile::tempdir().unwrap();
        copy(&made.dir(), killed.path());
        step(killed.path(), &new);
        let open = Table::open(killed.path(), &made.owner.public(), At::Current).unwrap();
        assert_eq!(open.manifest(), old.manifest(), "step {at}");
        let next = rotate_keys(killed.path(), &made.owner, &made.keys).unwrap();
        assert_eq!(next.manifest().snapshot, 2, "step {at}");
        assert!(!killed.path().join("._sealed.json.sealing").exists());
        let first = Table::open(killed.path(), &made.owner.public(), At::Snapshot(1)).unwrap();
        assert_eq!(first.manifest(), old.manifest(), "step {at}");
    }
}

#[test]
fn rotation_wraps_anew_and_touches_no_data() {
    let made = made();
    let first = made.open(At::Current);
    let rows = made.rows(&first);
    let data: Vec<_> = made
        .tree()
        .into_iter()
        .filter(|(path, _)| path.extension().unwrap() == "parquet")
        .collect();
    let second = rotate_keys(&made.dir(), &made.owner, &made.keys).unwrap();
    assert_eq!(second.manifest().key_version(), 2);
    assert_eq!(
        second.manifest().key_ids().into_iter().collect::<Vec<_>>(),
        ["t-v2"]
    );
    assert_eq!(made.rows(&second), rows);
    // The old snapshot opens with the old key.
    assert_eq!(made.rows(&made.open(At::Snapshot(1))), rows);
    let tree = made.tree();
    assert!(
        data.iter()
            .all(|(path, bytes)| tree.get(path) == Some(bytes))
    );
    for (old, new) in first.manifest().files.iter().zip(&second.manifest().files) {
        assert_ne!(old.wrapped_keys[0].wrapped, new.wrapped_keys[0].wrapped);
        assert_eq!(
            (&old.path, old.size, old.footer_digest),
            (&new.path, new.size, new.footer_digest)
        );
    }
}

#[test]
fn a_table_that_was_read_is_the_one_that_is_changed() {
    let made = made();
    let first = made.open(At::Current);
    rotate_keys(&made.dir(), &made.owner, &made.keys).unwrap();
    let before = made.tree();
    let changed = rotate_keys(&first, &made.owner, &made.keys);
    assert_eq!(code(changed), "DB-LAK-093");
    let changed = expire(&first, &made.owner, 1).err().unwrap();
    assert_eq!(changed.code(), "DB-LAK-093");
    assert_eq!(made.tree(), before);

    let second = made.open(At::Current);
    let third = rotate_keys(&second, &made.owner, &made.keys).unwrap();
    for known in [&first, &second, &third] {
        let number = known.manifest().snapshot;
        let digest = third.digest_of(number).unwrap();
        assert_eq!(digest, Some(known.manifest().digest()));
    }
    assert_eq!(third.digest_of(0).unwrap(), None);
    assert_eq!(third.digest_of(4).unwrap(), None);
    // The third names the second, whose manifest is gone; nothing names the first then.
    expire(&third, &made.owner, 1).unwrap();
    let digest = third.digest_of(2).unwrap();
    assert_eq!(digest, Some(second.manifest().digest()));
    assert_eq!(third.digest_of(1).unwrap(), None);
}

#[test]
fn rotations_that_are_refused_leave_the_table() {
    let made = made();
    let before = made.tree();
    let keys = |edit: &dyn Fn(&mut KeyFile, String)| {
        let dir = tempfile::tempdir().unwrap();
        let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
        let old = made.keys.table_key("t-v1").unwrap();
        edit(&mut file, old.to_hex().to_string());
        rotate_keys(&made.dir(), &made.owner, &KeyProvider::new([file]))
    };
    let key = |hex: &str| crate::keys::TableKey::from_hex(hex).unwrap();
    // No new key; the old one again; another old one.
    let error = keys(&|file, old| file.insert("t-v1", key(&old)).unwrap())
        .err()
        .unwrap();
    assert_eq!(error.code(), "DB-LAK-004");
    assert!(error.to_string().contains("t-v2"));
    let same = keys(&|file, old| {
        file.insert("t-v1", key(&old)).unwrap();
        file.insert("t-v2", key(&old)).unwrap();
    });
    assert_eq!(code(same), "DB-LAK-011");
    let wrong = keys(&|file, _| {
        file.generate(&[KeyId::of_table("t", 1), KeyId::of_table("t", 2)])
            .unwrap();
    });
    assert_eq!(code(wrong), "DB-LAK-006");
    assert_eq!(made.tree(), before);
}
