//! Each way to fail has its own error, with its place, and tells nothing to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duckblind_lake::sealed_file::LakeError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::job_code::JobCode;

use crate::testing::*;
use crate::{Engine, EngineError, VirtualFile};

#[test]
fn syntax_errors_have_a_place() {
    let engine = engine_with_items();
    for (sql, place) in [
        ("SELECT 1 FRM x y", 14),
        ("SELEC 1", 0),
        ("SELECT * FROM items WHERE", 25),
    ] {
        let error = error_of(&engine, sql);
        let EngineError::Syntax { detail, position } = &error else {
            panic!("{sql}: {error:?}");
        };
        assert!(!detail.reveal().is_empty());
        let position = position.expect(sql) as usize;
        assert!(position.abs_diff(place) <= 8, "{sql}: {position}");
        assert_eq!(error.job_code(), JobCode::SqlSyntax);
        assert_eq!(error.to_job_error().position, Some(position as u32));
    }
    let error = error_of(&engine, "SELECT 1; SELEC 2");
    assert!(matches!(error, EngineError::Syntax { .. }), "{error:?}");
}

#[test]
fn unknown_names_are_named() {
    let engine = engine_with_items();
    let error = error_of(&engine, "SELECT 1 FROM nothing");
    let EngineError::UnknownTable { name, position } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((name.reveal(), *position), ("nothing", Some(14)));
    assert_eq!(error.job_code(), JobCode::SqlUnknownTable);
    assert!(error.to_job_error().message.contains("nothing"));

    let error = error_of(&engine, "SELECT kee FROM items");
    let EngineError::UnknownColumn { detail, position } = &error else {
        panic!("{error:?}");
    };
    assert!(detail.reveal().contains("kee"));
    assert_eq!(*position, Some(7));
    assert_eq!(error.exit(), Exit::Malformed);
}

#[test]
fn other_mistakes_are_query_errors() {
    let engine = engine_with_items();
    for sql in [
        "SELECT no_such_function(1)",
        "SELECT 'abc'::INT",
        "SELECT remark::INT FROM items",
        "SELECT key + 'x'::DATE FROM items",
        "SELECT error('so')",
        "SELECT (SELECT key FROM items)",
        "SELECT sum(remark) FROM items",
        "SELECT key FROM items GROUP BY flag",
    ] {
        let error = error_of(&engine, sql);
        assert!(
            matches!(error, EngineError::Query { .. }),
            "{sql}: {error:?}"
        );
        assert_eq!(error.job_code(), JobCode::SqlOther);
    }
}

#[test]
fn neither_display_nor_debug_shows_sql_or_data() {
    let engine = engine_with_items();
    for sql in [
        "SELECT 'hush-hush'::INT",
        "SELECT remark::INT FROM items WHERE key = 1",
        "SELECT * FROM \"hush-hush\"",
        "SELECT \"hush-hush\" FROM items",
        "SELECT 1 hush hush hush-hush",
        "SELECT error('hush-hush')",
        "SELECT * FROM read_text('hush-hush')",
    ] {
        let error = error_of(&engine, sql);
        for text in [
            error.to_string(),
            format!("{error:?}"),
            duckblind_protocol::coded::render(&error),
        ] {
            assert!(
                !text.contains("hush-hush") && !text.contains(CANARY),
                "{text}"
            );
        }
    }
    // The author is told all of it.
    let error = error_of(&engine, "SELECT 'hush-hush'::INT").to_job_error();
    assert!(error.message.contains("hush-hush"));
}

#[test]
fn too_little_memory_is_said_as_such() {
    let engine = engine_with_items();
    engine.set_limits(1, 32 << 20).unwrap();
    let error = error_of(
        &engine,
        "SELECT count(*) FROM (SELECT DISTINCT i, repeat('x', 100) || i FROM range(3_000_000) t(i))",
    );
    assert!(matches!(error, EngineError::OutOfMemory), "{error:?}");
    assert_eq!(
        (error.job_code(), error.exit()),
        (JobCode::OutOfMemory, Exit::Limit)
    );
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

/// Reads like the file inside until told to break.
struct Breaking {
    inner: MemoryFile,
    broken: Arc<AtomicBool>,
    how: fn() -> Result<usize, LakeError>,
}

impl VirtualFile for Breaking {
    fn len(&self) -> u64 {
        self.inner.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        if self.broken.load(Ordering::SeqCst) {
            return (self.how)();
        }
        self.inner.read_at(buffer, offset)
    }
    fn version_tag(&self) -> &str {
        &self.inner.tag
    }
}

fn breaking(how: fn() -> Result<usize, LakeError>) -> (Engine, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let mut engine = engine();
    let file = Breaking {
        inner: plain(&items(0, 60_000)),
        broken: Arc::clone(&broken),
        how,
    };
    engine.add_table("items", vec![file]).unwrap();
    (engine, broken)
}

#[test]
fn a_reader_s_error_comes_back_as_it_was() {
    let (engine, broken) = breaking(|| {
        Err(LakeError::Tampered {
            row_group: 1,
            column: "remark".into(),
            page: "3".into(),
        })
    });
    assert_eq!(
        ask_number(&engine, "SELECT count(remark) FROM items"),
        51_428
    );
    broken.store(true, Ordering::SeqCst);
    let error = error_of(&engine, "SELECT sum(length(remark)) FROM items");
    let EngineError::Data(LakeError::Tampered {
        row_group: 1,
        column,
        ..
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(column, "remark");
    assert_eq!(
        (error.job_code(), error.exit()),
        (JobCode::DataTampered, Exit::Rejected)
    );
    // The failure was that query's, not the next one's.
    broken.store(false, Ordering::SeqCst);
    assert_eq!(
        ask_number(&engine, "SELECT count(remark) FROM items"),
        51_428
    );
}

#[test]
fn a_reader_that_panics_or_stops_short_fails_the_query() {
    let (engine, broken) = breaking(|| panic!("a reader's own trouble"));
    broken.store(true, Ordering::SeqCst);
    let error = error_of(&engine, "SELECT sum(length(remark)) FROM items");
    assert!(matches!(error, EngineError::Broken { .. }), "{error:?}");

    let (engine, broken) = breaking(|| Ok(0));
    broken.store(true, Ordering::SeqCst);
    let error = error_of(&engine, "SELECT sum(length(remark)) FROM items");
    assert!(matches!(error, EngineError::Files { .. }), "{error:?}");
}

#[test]
fn a_changed_sealed_file_is_found_out() {
    let bytes = sealed_bytes(&items(0, 30_000));
    let middle = bytes.len() / 2;
    let mut changed = bytes.clone();
    changed[middle] ^= 1;
    let mut engine = engine();
    engine
        .add_table("items", vec![open_sealed(changed).unwrap()])
        .unwrap();
    let error = error_of(&engine, "SELECT sum(hash(items)) FROM items");
    assert!(matches!(error, EngineError::Data(_)), "{error:?}");
    assert_eq!(error.job_code(), JobCode::DataTampered);
}

#[test]
fn a_file_that_is_no_parquet_cannot_be_a_table() {
    let mut engine = engine();
    let file = MemoryFile {
        bytes: b"PAR1 and then nothing of the sort PAR1".to_vec(),
        tag: "x".into(),
    };
    assert!(engine.add_table("items", vec![file]).is_err());
    // The name stays free.
    engine
        .add_table("items", vec![plain(&items(0, 5))])
        .unwrap();
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 5);
}

#[test]
fn a_query_is_interrupted_from_another_thread() {
    let engine = engine();
    let handle = engine.interrupt_handle();
    let mut rows = engine
        .query("SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range * b.range = 7")
        .unwrap();
    let stopper = std::thread::spawn(move || {
        // Again and again: the first may come before the query has begun to run.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(50));
            handle.interrupt();
        }
    });
    let error = rows.next_batch().unwrap_err();
    assert!(matches!(error, EngineError::Interrupted), "{error:?}");
    assert!(rows.next_batch().unwrap().is_none());
    drop(rows);
    stopper.join().unwrap();
    assert_eq!(ask_number(&engine, "SELECT 42::BIGINT"), 42);
}

#[test]
fn codes_are_distinct() {
    use crate::Detail;
    let detail = || Detail::new("");
    let all = [
        EngineError::Syntax {
            detail: detail(),
            position: None,
        },
        EngineError::UnknownTable {
            name: detail(),
            position: None,
        },
        EngineError::UnknownColumn {
            detail: detail(),
            position: None,
        },
        EngineError::NotOneSelect { detail: detail() },
        EngineError::Refused {
            detail: detail(),
            position: None,
        },
        EngineError::Query {
            detail: detail(),
            position: None,
        },
        EngineError::OutOfMemory,
        EngineError::Interrupted,
        EngineError::Files { detail: detail() },
        EngineError::Broken { detail: detail() },
        EngineError::Setup {
            what: "",
            detail: detail(),
        },
        EngineError::NotLockedDown { probe: "" },
        EngineError::Limits { what: "" },
        EngineError::Table { what: "" },
        EngineError::Data(LakeError::Truncated),
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(Coded::code).collect();
    assert_eq!(codes.len(), all.len());
}
