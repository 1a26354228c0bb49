//! Appending, compacting, fresh data keys, exported keys, checks.

use std::collections::BTreeSet;
use std::fs;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use duckblind_protocol::coded::Coded as _;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;

use super::super::testing::Made;
use super::super::{
    AppendRequest, Appended, At, FileReport, NewColumns, Table, TableError, append, compact,
    expire, export_keys, rotate_data, rotate_keys, verify, wrap_key,
};
use super::{ONE, TWO, made};
use crate::keys::{DataKey, KeyFile, KeyProvider};
use crate::manifest::Layout;
use crate::names::KeyId;
use crate::seal::{CsvOptions, Encryption, Rest, SealOptions};

/// `secret` under a key of its own.
fn with_column_key(rest: Rest) -> SealOptions {
    SealOptions {
        encryption: Encryption::Columns {
            columns: vec!["secret".into()],
            rest,
        },
        ..SealOptions::default()
    }
}

fn add(made: &Made, text: &str, new_columns: NewColumns) -> Result<Appended, TableError> {
    append(AppendRequest {
        start: made.dir().as_path().into(),
        owner: &made.owner,
        kms: &made.keys,
        inputs: made.inputs(&[text]),
        csv: CsvOptions::default(),
        new_columns,
        progress: &mut |_| {},
    })
}

fn numbers(rows: &RecordBatch) -> Vec<i64> {
    let column = rows.column_by_name("n").unwrap();
    column.as_primitive::<Int64Type>().values().to_vec()
}

fn key_of<'a>(table: &'a Table, path: &str) -> Option<&'a str> {
    let mut columns = table.manifest().columns.iter();
    columns
        .find(|column| column.path == path)
        .unwrap()
        .key_id
        .as_deref()
}

#[test]
fn appended_rows_come_last_and_old_snapshots_stay() {
    for options in [
        SealOptions::default(),
        with_column_key(Rest::TableKey),
        with_column_key(Rest::Clear),
    ] {
        let made = Made::new(&[ONE, TWO], options);
        let old = made.tree();
        let done = add(&made, "{\"n\":9,\"secret\":\"z\"}\n", NewColumns::default()).unwrap();
        assert_eq!((done.rows, done.files), (1, 1));
        let table = made.open(At::Current);
        assert_eq!(table.manifest(), done.table.manifest());
        assert_eq!(table.manifest().files.len(), 3);
        assert_eq!(numbers(&made.rows(&table)), [1, 2, 3, 9]);
        assert_eq!(numbers(&made.rows(&made.open(At::Snapshot(1)))), [1, 2, 3]);
        let new = made.tree();
        assert!(old.iter().all(|(path, bytes)| {
            path.ends_with("_sealed.json") || new.get(path) == Some(bytes)
        }));
        let [.., last] = &table.manifest().files[..] else {
            panic!("files")
        };
        let own = last
            .wrapped_keys
            .iter()
            .filter(|key| key.column.is_some())
            .count();
        assert_eq!(own, usize::from(key_of(&table, "secret") != Some("t-v1")));
        assert!(
            verify(&table, &made.keys, &mut |_| {})
                .iter()
                .all(FileReport::is_whole)
        );
    }
}

#[test]
fn new_columns_are_protected_as_said() {
    let row = "{\"n\":9,\"secret\":\"z\",\"w\":\"new\",\"s\":{\"a\":1,\"b\":2}}\n";
    let made = Made::new(&[ONE], with_column_key(Rest::Clear));
    let before = made.tree();
    let unknown = NewColumns {
        clear: vec!["n".into()],
        ..NewColumns::default()
    };
    assert_eq!(add(&made, row, unknown).err().unwrap().code(), "DB-LAK-100");
    assert_eq!(made.tree(), before);
    let said = NewColumns {
        own_key: vec!["s".into()],
        clear: vec![],
    };
    let table = add(&made, row, said).unwrap().table;
    // Not said: encrypted, although the table has columns in the clear.
    assert_eq!(key_of(&table, "w"), Some("t-v1"));
    assert_eq!(key_of(&table, "s.a"), Some("t-v1:s.a"));
    assert_eq!(key_of(&table, "s.b"), Some("t-v1:s.b"));
    assert_eq!(key_of(&table, "n"), None);
    let rows = made.rows(&table);
    let words = rows.column_by_name("w").unwrap().as_string::<i32>();
    assert_eq!(words.null_count(), 2);
    assert_eq!(words.value(2), "new");
    // The file before has no such column, and that is no error.
    assert!(
        verify(&table, &made.keys, &mut |_| {})
            .iter()
            .all(FileReport::is_whole)
    );
    // A rotation and a rewrite of it all.
    let table = rotate_keys(&made.dir(), &made.owner, &made.keys).unwrap();
    assert_eq!(key_of(&table, "s.b"), Some("t-v2:s.b"));
    let rewritten = rotate_data(&made.dir(), &made.owner, &made.keys).unwrap();
    assert_eq!(made.rows(&rewritten.table), rows);

    let made = Made::new(&[ONE], with_column_key(Rest::Clear));
    let said = NewColumns {
        clear: vec!["w".into()],
        ..NewColumns::default()
    };
    let table = add(&made, "{\"n\":9,\"secret\":\"z\",\"w\":\"new\"}\n", said)
        .unwrap()
        .table;
    assert_eq!(key_of(&table, "w"), None);
    assert!(table.manifest().files[1].chunk_digests.contains_key("w"));
}

#[test]
fn rows_that_do_not_fit_leave_the_table() {
    let made = made();
    let before = made.tree();
    for text in [
        "{\"n\":\"no number\",\"secret\":\"z\"}\n",
        "{\"n\":1}\n",
        "{\"n\":1,\"secret\":\"z\"}\n{broken",
        "",
    ] {
        assert!(add(&made, text, NewColumns::default()).is_err(), "{text}");
        assert_eq!(made.tree(), before, "{text}");
    }
}

#[test]
fn fresh_data_keys_for_the_same_rows() {
    for options in [SealOptions::default(), with_column_key(Rest::Clear)] {
        let made = Made::new(&[ONE, TWO], options);
        let first = made.open(At::Current);
        let rows = made.rows(&first);
        let done = rotate_data(&made.dir(), &made.owner, &made.keys).unwrap();
        assert_eq!((done.before, done.after, done.rows), (2, 2, 3));
        assert_eq!(made.rows(&done.table), rows);
        assert_eq!(done.table.manifest().columns, first.manifest().columns);
        let ids = |table: &Table| -> BTreeSet<_> {
            table
                .manifest()
                .files
                .iter()
                .map(|file| file.file_id)
                .collect()
        };
        assert!(ids(&first).is_disjoint(&ids(&done.table)));
        let key = |table: &Table| {
            let file = &table.manifest().files[0];
            let keys = table
                .manifest()
                .file_keys(file, &made.keys, &mut |_| true)
                .unwrap();
            keys.footer.unwrap().expose().to_vec()
        };
        assert_ne!(key(&first), key(&done.table));
        assert_eq!(made.rows(&made.open(At::Snapshot(1))), rows);
        let gone = expire(&made.dir(), &made.owner, 1).unwrap();
        assert_eq!((gone.snapshots, gone.files), (1, 2));
        assert_eq!(made.rows(&made.open(At::Current)), rows);
    }
}

#[test]
fn small_neighbours_become_one_file() {
    let text = |n: i64| format!("{{\"n\":{n},\"secret\":\"{n}\"}}\n");
    let texts: Vec<_> = [5, 4, 3, 2, 1].map(text).to_vec();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let made = Made::new(&texts, SealOptions::default());
    let rows = made.rows(&made.open(At::Current));
    let before = made.tree();
    let nothing = compact(&made.dir(), &made.owner, &made.keys, 100).unwrap();
    assert_eq!((nothing.before, nothing.after, nothing.rows), (0, 0, 0));
    assert_eq!(nothing.table.manifest().snapshot, 1);
    assert_eq!(made.tree(), before);
    let done = compact(&made.dir(), &made.owner, &made.keys, 1 << 20).unwrap();
    assert_eq!((done.before, done.after, done.rows), (5, 1, 5));
    assert_eq!(made.rows(&done.table), rows);
    assert_eq!(done.table.manifest().files.len(), 1);

    // Sorted files stay sorted.
    let sorted = SealOptions {
        layout: Layout {
            sort_by: vec!["n".into()],
            ..Layout::default()
        },
        ..SealOptions::default()
    };
    let made = Made::new(&[ONE], sorted);
    add(&made, &text(0), NewColumns::default()).unwrap();
    let done = compact(&made.dir(), &made.owner, &made.keys, 1 << 20).unwrap();
    assert_eq!(numbers(&made.rows(&done.table)), [0, 1, 2]);
    assert_eq!(done.table.manifest().layout.sort_by, ["n"]);
}

#[test]
fn files_of_one_partition_are_neighbours() {
    let partitioned = SealOptions {
        layout: Layout {
            partition_by: vec!["n".into()],
            ..Layout::default()
        },
        ..SealOptions::default()
    };
    let made = Made::new(&[ONE], partitioned);
    for secret in ["c", "d"] {
        let text = [1, 2]
            .map(|n| format!("{{\"n\":{n},\"secret\":\"{secret}\"}}\n"))
            .concat();
        add(&made, &text, NewColumns::default()).unwrap();
    }
    let done = compact(&made.dir(), &made.owner, &made.keys, 1 << 20).unwrap();
    assert_eq!((done.before, done.after, done.rows), (6, 2, 6));
    let rows = made.rows(&done.table);
    assert_eq!(numbers(&rows), [1, 1, 1, 2, 2, 2]);
    let secrets = rows.column_by_name("secret").unwrap().as_string::<i32>();
    let secrets: Vec<_> = secrets.iter().flatten().collect();
    assert_eq!(secrets, ["a", "c", "d", "b", "c", "d"]);
    let paths = done.table.manifest().files.iter();
    let folders: Vec<_> = paths.map(|file| file.path.split('/').next()).collect();
    assert_eq!(folders, [Some("n=1"), Some("n=2")]);
}

#[test]
fn changed_files_are_not_copied_into_new_ones() {
    let made = made();
    let table = made.open(At::Current);
    let path = made.dir().join(&table.manifest().files[1].path);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    fs::write(&path, &bad).unwrap();
    let before = made.tree();
    let code = |error: TableError| {
        assert!(
            error.to_string().contains(&table.manifest().files[1].path),
            "{error}"
        );
        error.code()
    };
    let error = rotate_data(&made.dir(), &made.owner, &made.keys)
        .err()
        .unwrap();
    assert_eq!(code(error), "DB-LAK-074");
    let error = compact(&made.dir(), &made.owner, &made.keys, 1 << 20)
        .err()
        .unwrap();
    assert_eq!(code(error), "DB-LAK-074");
    assert_eq!(made.tree(), before);
    let mut seen = 0;
    let reports = verify(&table, &made.keys, &mut |_| seen += 1);
    assert_eq!(seen, 2);
    assert!(reports[0].is_whole() && reports[0].rows == 2);
    assert_eq!(reports[1].error.as_ref().unwrap().code(), "DB-LAK-074");
    fs::write(&path, &good).unwrap();
    assert!(
        verify(&table, &made.keys, &mut |_| {})
            .iter()
            .all(FileReport::is_whole)
    );
    // A link in its place is not followed, not even to the same bytes.
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    let reports = verify(&table, &made.keys, &mut |_| {});
    assert_eq!(reports[1].error.as_ref().unwrap().code(), "DB-LAK-060");
    fs::remove_file(&path).unwrap();
    let reports = verify(&table, &made.keys, &mut |_| {});
    assert_eq!(reports[1].error.as_ref().unwrap().code(), "DB-LAK-060");
}

#[test]
fn a_missing_column_key_is_named() {
    let made = Made::new(&[ONE], with_column_key(Rest::TableKey));
    let table = made.open(At::Current);
    let dir = tempfile::tempdir().unwrap();
    let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
    file.insert("t-v1", made.keys.table_key("t-v1").unwrap())
        .unwrap();
    file.generate(&[KeyId::of_table("t", 2), KeyId::of_column("t", 2, "secret")])
        .unwrap();
    let some = KeyProvider::new([file]);
    let reports = verify(&table, &some, &mut |_| {});
    assert!(reports[0].unread.contains("secret") && reports[0].error.is_none());
    assert!(!reports[0].is_whole());
    let before = made.tree();
    for error in [
        rotate_data(&made.dir(), &made.owner, &some).err().unwrap(),
        rotate_keys(&made.dir(), &made.owner, &some).err().unwrap(),
    ] {
        let text = format!("{error}");
        assert!(text.contains("t-v1:secret"), "{text}");
        assert_eq!(made.tree(), before);
    }
}

#[test]
fn exported_keys_open_the_file_elsewhere() {
    for options in [
        SealOptions::default(),
        with_column_key(Rest::TableKey),
        with_column_key(Rest::Clear),
    ] {
        let made = Made::new(&[ONE], options);
        let table = made.open(At::Current);
        let path = &table.manifest().files[0].path;
        let text = export_keys(&table, path, &made.keys).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
        assert_eq!(json["file"], path.as_str());
        let mut keys = FileDecryptionProperties::builder(bytes(&json["footer_key"]))
            .with_aad_prefix(bytes(&json["aad_prefix"]));
        for (path, key) in json["columns"].as_object().unwrap() {
            keys = keys.with_column_key(path, bytes(key));
        }
        let options =
            ArrowReaderOptions::new().with_file_decryption_properties(keys.build().unwrap());
        let file = fs::File::open(made.dir().join(path)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let rows: Vec<_> = reader
            .unwrap()
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows[0].columns(), made.rows(&table).columns());
        assert_eq!(
            export_keys(&table, "x", &made.keys).err().unwrap().code(),
            "DB-LAK-100"
        );
    }
}

#[test]
fn a_wrapped_key_is_one_that_the_manifest_could_hold() {
    let made = Made::new(&[ONE], with_column_key(Rest::Clear));
    let table = made.open(At::Current);
    let path = &table.manifest().files[0].path;
    let key = DataKey::generate().unwrap();
    for (column, id) in [(None, "t-v1"), (Some("secret"), "t-v1:secret")] {
        let wrapped = wrap_key(&table, path, column, &key, &made.keys).unwrap();
        assert_eq!(wrapped.key_id, id);
        let mut manifest = table.manifest().manifest().clone();
        for known in &mut manifest.files[0].wrapped_keys {
            if known.column == wrapped.column {
                *known = wrapped.clone();
            }
        }
        let keys = manifest
            .file_keys(&manifest.files[0], &made.keys, &mut |_| true)
            .unwrap();
        let opened = match column {
            None => keys.footer.unwrap(),
            Some(path) => {
                keys.columns
                    .into_iter()
                    .find(|(at, _)| at == path)
                    .unwrap()
                    .1
            }
        };
        assert_eq!(opened.expose(), key.expose());
    }
    for column in ["n", "nowhere"] {
        let wrapped = wrap_key(&table, path, Some(column), &key, &made.keys);
        assert_eq!(wrapped.err().unwrap().code(), "DB-LAK-100");
    }
}

#[test]
fn obstacles_at_every_step_leave_the_table() {
    type Obstacle = fn(&std::path::Path);
    let obstacles: [Obstacle; 4] = [
        |dir| fs::write(dir.join("_snapshots"), "").unwrap(),
        |dir| {
            fs::create_dir(dir.join("_snapshots")).unwrap();
            fs::create_dir(dir.join("_snapshots/1.json")).unwrap();
        },
        |dir| fs::create_dir(dir.join("._sealed.json.sealing")).unwrap(),
        |dir| {
            fs::remove_file(dir.join("_sealed.lock")).unwrap();
            fs::create_dir(dir.join("_sealed.lock")).unwrap();
        },
    ];
    for (at, obstacle) in obstacles.into_iter().enumerate() {
        let made = made();
        // So that there is a lock.
        drop(super::Change::begin(&made.dir(), &made.owner).unwrap());
        obstacle(&made.dir());
        let before = made.tree();
        assert!(
            add(&made, ONE, NewColumns::default()).is_err(),
            "obstacle {at}"
        );
        assert!(
            rotate_keys(&made.dir(), &made.owner, &made.keys).is_err(),
            "obstacle {at}"
        );
        assert_eq!(made.tree(), before, "obstacle {at}");
    }
}
