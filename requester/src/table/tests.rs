//! Tables with column keys, and tables that go back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;

use duckblind_lake::keys::{KeyFile, KeyProvider, OwnerKey, TableKey};
use duckblind_lake::seal::{Encryption, Rest, SealOptions, SealRequest, seal};
use duckblind_lake::table::{rotate_data, rotate_keys};
use duckblind_protocol::coded::{Coded as _, Exit};

use super::*;

/// Table `people` with columns `id`, `name` and `Salary`, the last two under keys of their own.
pub(crate) struct People {
    place: tempfile::TempDir,
    owner: OwnerKey,
    keys: Vec<(&'static str, TableKey)>,
}

impl People {
    pub(crate) fn seal() -> Self {
        let place = tempfile::tempdir().unwrap();
        let csv = place.path().join("people.csv");
        fs::write(&csv, "id,name,Salary\n1,Ada,10\n2,Alan,20\n").unwrap();
        let ids = [
            "people-v1",
            "people-v1:name",
            "people-v1:Salary",
            "people-v2",
            "people-v2:name",
            "people-v2:Salary",
        ];
        let people = Self {
            place,
            owner: OwnerKey::generate().unwrap(),
            keys: ids.map(|id| (id, TableKey::generate().unwrap())).into(),
        };
        seal(SealRequest {
            inputs: vec![csv],
            table: "people".into(),
            out_dir: people.dir(),
            // As before any rotation.
            kms: &people.keys(ids.get(..3).unwrap()),
            owner: &people.owner,
            options: SealOptions {
                encryption: Encryption::Columns {
                    columns: vec!["name".into(), "Salary".into()],
                    rest: Rest::TableKey,
                },
                ..SealOptions::default()
            },
            progress: &mut |_| {},
        })
        .unwrap();
        people
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.place.path().join("people")
    }

    /// The holder of some of the keys.
    pub(crate) fn keys(&self, ids: &[&str]) -> KeyProvider {
        let mut file = KeyFile::load_or_empty(&self.place.path().join("keys.json")).unwrap();
        for (id, key) in self.keys.iter().filter(|(id, _)| ids.contains(id)) {
            let key = TableKey::from_hex(&hex::encode(key.expose())).unwrap();
            file.insert(id, key).unwrap();
        }
        KeyProvider::new([file])
    }

    pub(crate) fn all(&self) -> KeyProvider {
        self.keys(&self.keys.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    }

    pub(crate) fn open(&self) -> SealedTable {
        SealedTable::open("people", &self.dir(), &self.owner.public(), None).unwrap()
    }
}

fn columns(needed: &NeededKeys) -> Vec<&str> {
    assert!(needed.files.iter().all(|keys| keys.footer.is_some()));
    needed.files[0].columns.keys().map(String::as_str).collect()
}

#[test]
fn only_what_the_sql_may_touch_is_unwrapped() {
    let people = People::seal();
    let table = people.open();
    let needed = |sql: &str| table.keys_for(sql, &people.all()).unwrap();
    for (sql, wanted) in [
        ("select count(*) from people", &[][..]),
        ("select id from people", &[]),
        ("select NAME from people", &["name"]),
        (
            "select p.salary from people p where name = 'x'",
            &["Salary", "name"],
        ),
        ("select * from people", &["Salary", "name"]),
        ("select people from people", &["Salary", "name"]),
        ("no sql at all", &["Salary", "name"]),
    ] {
        let needed = needed(sql);
        assert_eq!(columns(&needed), wanted, "{sql}");
        assert!(needed.missing.is_empty());
    }
}

#[test]
fn a_missing_column_key_is_named_and_left_out() {
    let people = People::seal();
    let table = people.open();
    let some = people.keys(&["people-v1", "people-v1:name"]);
    let needed = table.keys_for("select * from people", &some).unwrap();
    assert_eq!(columns(&needed), ["name"]);
    let missing = MissingKey {
        column: "Salary".into(),
        key_id: "people-v1:Salary".into(),
    };
    assert_eq!(needed.missing, [missing].into());
    let none = table.keys_for("select name from people", &some).unwrap();
    assert!(none.missing.is_empty());
    // Without the table's key nothing can be read.
    let without = people.keys(&["people-v1:name"]);
    let error = table
        .keys_for("select name from people", &without)
        .err()
        .unwrap();
    assert_eq!(error.code(), "DB-LAK-004");
}

#[test]
fn tables_do_not_go_back() {
    let people = People::seal();
    let path = people.place.path().join("config/snapshots.json");
    let first = people.open();
    let old = fs::read(people.dir().join("_sealed.json")).unwrap();
    rotate_keys(&people.dir(), &people.owner, &people.all()).unwrap();
    let second = people.open();
    let mut seen = SeenSnapshots::load(&path).unwrap();
    for table in [&first, &second] {
        assert_eq!(seen.check(&table.table).unwrap(), Continuity::Whole);
        seen.raise(table.manifest()).unwrap();
    }
    // Remembered by the next process, and not lowered by looking at the old one.
    let mut seen = SeenSnapshots::load(&path).unwrap();
    let error = seen.check(&first.table).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-131", Exit::Rejected));
    assert_eq!(error.expected().unwrap(), "snapshot 2 or newer");
    assert_eq!(error.got().unwrap(), "snapshot 1");
    assert!(error.hint().unwrap().contains("--allow-rollback"));
    seen.raise(first.manifest()).unwrap();
    assert!(seen.check(&first.table).is_err());
    seen.check(&second.table).unwrap();

    // The old table goes on by itself, up to the same number.
    fs::write(people.dir().join("_sealed.json"), old).unwrap();
    fs::remove_dir_all(people.dir().join("_snapshots")).unwrap();
    rotate_keys(&people.dir(), &people.owner, &people.all()).unwrap();
    let other = people.open();
    assert_eq!(other.manifest().snapshot, 2);
    let error = seen.check(&other.table).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-132", Exit::Rejected));
    assert_eq!(
        seen.raise(other.manifest()).unwrap_err().code(),
        "DB-REQ-132"
    );
    // Also when it went on beyond what was seen.
    rotate_data(&people.dir(), &people.owner, &people.all()).unwrap();
    let later = people.open();
    assert_eq!(later.manifest().snapshot, 3);
    let error = seen.check(&later.table).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-132", Exit::Rejected));
    // Once nothing tells any more, it is said.
    rotate_data(&people.dir(), &people.owner, &people.all()).unwrap();
    fs::remove_dir_all(people.dir().join("_snapshots")).unwrap();
    let gap = seen.check(&people.open().table).unwrap();
    assert_eq!(gap, Continuity::Gap { seen: 2 });
    seen.replace(other.manifest()).unwrap();
    let seen = SeenSnapshots::load(&path).unwrap();
    seen.check(&other.table).unwrap();
    assert!(seen.check(&second.table).is_err());

    // Another owner's table of that name is another table.
    let theirs = People::seal();
    let others = theirs.open();
    seen.check(&others.table).unwrap();
    seen.check_new(&theirs.owner.public(), "people").unwrap();
    let taken = seen.check_new(&people.owner.public(), "people");
    let error = taken.unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-137", Exit::Rejected));
    assert!(error.hint().unwrap().contains("--allow-rollback"));

    fs::write(&path, "{").unwrap();
    assert_eq!(
        SeenSnapshots::load(&path).err().unwrap().code(),
        "DB-REQ-006"
    );
}

#[test]
fn processes_at_once_forget_no_table() {
    let people: Vec<_> = (0..4).map(|_| People::seal()).collect();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config/snapshots.json");
    std::thread::scope(|scope| {
        for one in &people {
            let mut seen = SeenSnapshots::load(&path).unwrap();
            scope.spawn(move || seen.begin(one.open().manifest()).unwrap());
        }
    });
    let seen = SeenSnapshots::load(&path).unwrap();
    for one in &people {
        assert!(seen.check_new(&one.owner.public(), "people").is_err());
    }
}

#[test]
fn older_snapshots_are_read_by_their_number() {
    let people = People::seal();
    rotate_keys(&people.dir(), &people.owner, &people.all()).unwrap();
    let owner = people.owner.public();
    let at = |snapshot| SealedTable::open("people", &people.dir(), &owner, snapshot);
    assert_eq!(at(None).unwrap().manifest().snapshot, 2);
    assert_eq!(at(Some(2)).unwrap().manifest().snapshot, 2);
    assert_eq!(at(Some(1)).unwrap().manifest().snapshot, 1);
    assert!(at(Some(3)).is_err());
    let other = SealedTable::open("persons", &people.dir(), &owner, None);
    assert_eq!(other.err().unwrap().code(), "DB-REQ-135");
    assert!(SealedTable::open("no name", &people.dir(), &owner, None).is_err());
}

#[test]
fn columns_to_accept_must_be_there() {
    let mut table = People::seal().open();
    assert!(!table.accept_unauthenticated("nam"));
    assert!(table.accept_unauthenticated("name"));
    assert_eq!(table.accepted(), ["name"]);
    // Everything of it has tags: nothing to warn of.
    assert_eq!(table.unauthenticated().count(), 0);
}
