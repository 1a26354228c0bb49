//! Queries larger than memory: encrypted on disk, or not at all.

use std::fs;
use std::path::Path;

use crate::testing::*;
use crate::{Engine, EngineError, Rows, Settings, Spill};

/// Sorts some 200 MB, each row with the canary in it.
fn sort(engine: &Engine) -> Rows {
    engine
        .query(&format!(
            "SELECT hash(i) AS h, '{CANARY}' || repeat('x', 60) || i AS text FROM range(2_000_000) t(i) ORDER BY h"
        ))
        .unwrap()
}

fn spilling(dir: &Path) -> Engine {
    let engine = Engine::open(&Settings {
        threads: 2,
        memory_bytes: 64 << 20,
        spill: Spill::Encrypted {
            dir: dir.to_owned(),
            max_bytes: 2 << 30,
        },
    })
    .unwrap();
    engine.set_limits(2, 64 << 20).unwrap();
    engine
}

fn files_in(dir: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn what_is_spilled_is_ciphertext_and_comes_back_right() {
    let directory = tempfile::tempdir().unwrap();
    let spill = directory.path().join("spill");
    let engine = spilling(&spill);
    let mut rows = sort(&engine);
    let first = rows.next_batch().unwrap().unwrap();

    let mut spilled = 0;
    for path in files_in(&spill) {
        let bytes = fs::read(&path).unwrap();
        spilled += bytes.len();
        assert!(
            !contains(&bytes, CANARY.as_bytes()),
            "{} holds plaintext",
            path.display()
        );
        assert!(
            !contains(&bytes, &[b'x'; 24]),
            "{} holds plaintext",
            path.display()
        );
    }
    assert!(spilled > 20 << 20, "only {spilled} bytes were spilled");

    let mut seen = first.num_rows();
    let mut last = None;
    let check = |batch: &arrow::array::RecordBatch, last: &mut Option<u64>| {
        use arrow::array::AsArray;
        for value in batch
            .column(0)
            .as_primitive::<arrow::datatypes::UInt64Type>()
            .values()
        {
            assert!(last.is_none_or(|before| before <= *value));
            *last = Some(*value);
        }
        assert!(
            batch
                .column(1)
                .as_string::<i32>()
                .iter()
                .all(|text| text.unwrap().starts_with(CANARY))
        );
    };
    check(&first, &mut last);
    while let Some(batch) = rows.next_batch().unwrap() {
        check(&batch, &mut last);
        seen += batch.num_rows();
    }
    assert_eq!(seen, 2_000_000);
    drop(rows);
    drop(engine);
    assert!(files_in(&spill).is_empty());
}

#[test]
fn spill_that_was_changed_fails_the_query() {
    let directory = tempfile::tempdir().unwrap();
    let spill = directory.path().join("spill");
    let engine = spilling(&spill);
    let mut rows = sort(&engine);
    rows.next_batch().unwrap().unwrap();
    let files = files_in(&spill);
    assert!(!files.is_empty());
    for path in files {
        let mut bytes = fs::read(&path).unwrap();
        // One bit in every 4 KiB: each encrypted buffer has at least one of them.
        for at in (2048..bytes.len()).step_by(4096) {
            bytes[at] ^= 1;
        }
        fs::write(&path, &bytes).unwrap();
    }
    let error = loop {
        match rows.next_batch() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("changed spill was taken for good"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::Files { .. }), "{error:?}");
}

#[test]
fn without_spill_the_same_query_runs_out_of_memory() {
    let engine = engine();
    engine.set_limits(2, 64 << 20).unwrap();
    let mut rows = sort(&engine);
    let error = loop {
        match rows.next_batch() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("200 MB were sorted in 64 MiB"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::OutOfMemory), "{error:?}");
}

#[test]
fn local_files_are_denied_with_spill_too() {
    let directory = tempfile::tempdir().unwrap();
    let spill = directory.path().join("spill");
    let engine = spilling(&spill);
    for (_, sql) in crate::lock_down::DENIED {
        assert!(engine.connection().run(sql).is_err(), "{sql}");
    }
    let neighbour = directory.path().join("neighbour.csv");
    fs::write(&neighbour, "a\n1\n").unwrap();
    for path in [neighbour.clone(), spill.join("../neighbour.csv")] {
        let sql = format!("SELECT * FROM read_csv('{}')", path.display());
        assert!(engine.connection().run(&sql).is_err(), "{sql}");
    }
    // DuckDB lets statements into its own spill directory; the gate does not let such statements in.
    for sql in [
        format!("COPY (SELECT 1) TO '{}/x.csv'", spill.display()),
        format!("SELECT * FROM read_blob('{}/*')", spill.display()),
    ] {
        assert!(ask(&engine, &sql).is_err(), "{sql}");
    }
}

#[test]
fn the_spill_directory_must_be_absolute() {
    let settings = Settings {
        threads: 1,
        memory_bytes: 64 << 20,
        spill: Spill::Encrypted {
            dir: "spill".into(),
            max_bytes: 1 << 20,
        },
    };
    assert!(matches!(
        Engine::open(&settings),
        Err(EngineError::Limits { .. })
    ));
}

#[test]
fn the_cap_on_spill_holds() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(&Settings {
        threads: 2,
        memory_bytes: 64 << 20,
        spill: Spill::Encrypted {
            dir: directory.path().join("spill"),
            max_bytes: 8 << 20,
        },
    })
    .unwrap();
    let mut rows = sort(&engine);
    let error = loop {
        match rows.next_batch() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("200 MB were sorted in 72 MiB"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::OutOfMemory), "{error:?}");
}
