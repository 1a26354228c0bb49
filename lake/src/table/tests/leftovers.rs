//! Writers side by side, killed writers, and what is removed of theirs.

use super::*;

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
fn a_table_in_a_directory_of_another_one_stays() {
    let made = made();
    let other = made.dir().join("region=eu");
    fs::create_dir(&other).unwrap();
    for name in made.tree().keys().filter(|path| path.is_file()) {
        fs::copy(name, other.join(name.file_name().unwrap())).unwrap();
    }
    let tree = || {
        let mut names: Vec<_> = fs::read_dir(&other)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    fs::write(other.join(LOCK_NAME), "").unwrap();
    let before = tree();
    assert!(before.len() > 3);
    // Whole, or with nothing but a lock: somebody may be sealing there.
    recommit(&made, |_| {});
    assert_eq!(tree(), before);
    fs::remove_file(other.join(FILE_NAME)).unwrap();
    recommit(&made, |_| {});
    assert_eq!(tree().len(), before.len() - 1);
    fs::remove_file(other.join(LOCK_NAME)).unwrap();
    recommit(&made, |_| {});
    assert!(!other.exists(), "leftovers of a partition");
}
