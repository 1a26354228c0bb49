//! Sealed tables answer like the plaintext they were made of.

use crate::EngineError;
use crate::testing::*;

const QUERIES: [&str; 8] = [
    // TPC-H 1 and 6 in small.
    "SELECT flag, sum(quantity), sum(price * (1 - discount)), avg(price), count(*) FROM items \
     WHERE day <= DATE '1998-09-02' GROUP BY flag ORDER BY flag",
    "SELECT sum(price * discount) FROM items WHERE day >= DATE '1994-01-01' AND day < DATE '1995-01-01' \
     AND discount BETWEEN 0.05 AND 0.07 AND quantity < 24",
    "SELECT max(key), min(price), max(remark), count(remark) FROM items",
    "SELECT * FROM items WHERE key IN (0, 19999, 20000, 49999, 50000, 59999) ORDER BY key",
    "WITH big AS (SELECT * FROM items WHERE price > 500) SELECT a.flag, count(*) FROM big a JOIN items b \
     ON a.key = b.key + 1 GROUP BY ALL ORDER BY ALL",
    "SELECT flag, key FROM (SELECT *, row_number() OVER (PARTITION BY flag ORDER BY key DESC) n FROM items) \
     WHERE n <= 2 ORDER BY ALL",
    "SELECT count(DISTINCT remark), (SELECT count(*) FROM items WHERE key % 2 = 0) FROM items",
    "SELECT sum(CASE WHEN EXISTS (SELECT 1 FROM range(3) r(i) WHERE r.i = items.key) THEN 1 ELSE 0 END) FROM items",
];

#[test]
fn sealed_and_plain_tables_agree() {
    let sealed_engine = engine_with_items();
    let mut plain_engine = engine();
    plain_engine
        .add_table(
            "items",
            vec![plain(&items(0, 50_000)), plain(&items(50_000, 10_000))],
        )
        .unwrap();
    for sql in QUERIES {
        let expected = ask(&plain_engine, sql).unwrap();
        assert!(!expected.is_empty());
        assert_eq!(ask(&sealed_engine, sql).unwrap(), expected, "{sql}");
    }
}

#[test]
fn the_answer_is_right_by_our_own_count() {
    let engine = engine_with_items();
    let expected: i64 = (0..60_000).map(|k| i64::from(k % 7 != 0)).sum();
    assert_eq!(
        ask_number(&engine, "SELECT count(remark) FROM items"),
        expected
    );
    let keys: i64 = (0..60_000).filter(|k| k % 50 + 1 < 24).sum();
    assert_eq!(
        ask_number(
            &engine,
            "SELECT sum(key)::BIGINT FROM items WHERE quantity < 24"
        ),
        keys
    );
}

#[test]
fn any_name_is_only_a_name() {
    for name in [
        "order",
        "it's",
        "a\"b",
        "x\"; DROP VIEW items; --",
        "größe",
        "sealed://0/0.parquet",
        "SELECT",
    ] {
        let mut engine = engine_with_items();
        engine.add_table(name, vec![sealed(&items(0, 3))]).unwrap();
        let quoted = name.replace('"', "\"\"");
        assert_eq!(
            ask_number(&engine, &format!("SELECT count(*) FROM \"{quoted}\"")),
            3,
            "{name}"
        );
        assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
    }
}

#[test]
fn a_table_needs_a_fresh_name_and_files() {
    let mut engine = engine_with_items();
    for name in ["items", "ITEMS", "", "a\0b", &"n".repeat(129)] {
        assert!(
            engine.add_table(name, vec![sealed(&items(0, 1))]).is_err(),
            "{name:?}"
        );
    }
    assert!(
        engine
            .add_table::<crate::testing::MemoryFile>("empty", Vec::new())
            .is_err()
    );
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn describe_and_summarize_are_answered() {
    let engine = engine_with_items();
    assert_eq!(ask(&engine, "DESCRIBE items").unwrap().len(), 7);
    assert_eq!(ask(&engine, "SUMMARIZE items").unwrap().len(), 7);
}

#[test]
fn names_in_duplicate_and_empty_answers_keep_their_schema() {
    let engine = engine_with_items();
    let rows = engine
        .query("SELECT key, key, 1 AS key FROM items WHERE false")
        .unwrap();
    assert_eq!(rows.schema().fields().len(), 3);
    assert!(drain(rows).unwrap().is_empty());
}

#[test]
fn a_large_answer_streams_in_little_memory() {
    let engine = engine();
    engine.set_limits(2, 64 << 20).unwrap();
    // 2.5 GiB of text in all, forty times the limit.
    let mut rows = engine
        .query("SELECT i, repeat('x', 500) || i AS text FROM range(5_000_000) t(i)")
        .unwrap();
    let mut seen = 0;
    while let Some(batch) = rows.next_batch().unwrap() {
        seen += batch.num_rows();
    }
    assert_eq!(seen, 5_000_000);
}

#[test]
fn a_large_answer_keeps_its_order() {
    use arrow::array::AsArray;
    use arrow::datatypes::UInt64Type;
    for threads in [1, 2, 4] {
        let engine = engine();
        engine.set_limits(threads, 1 << 30).unwrap();
        let mut rows = engine
            .query("SELECT hash(i) AS h, repeat('x', 60) || i AS text FROM range(1_000_000) t(i) ORDER BY h")
            .unwrap();
        let (mut last, mut seen) = (0, 0);
        while let Some(batch) = rows.next_batch().unwrap() {
            for value in batch.column(0).as_primitive::<UInt64Type>().values() {
                assert!(last <= *value, "row {seen} with {threads} threads");
                last = *value;
                seen += 1;
            }
        }
        assert_eq!(seen, 1_000_000);
    }
}

#[test]
fn rows_come_in_the_order_of_the_files() {
    let engine = engine_with_items();
    let lines = ask(&engine, "SELECT key FROM items").unwrap();
    assert_eq!(lines.len(), 60_000);
    assert!(
        lines
            .iter()
            .enumerate()
            .all(|(at, key)| *key == at.to_string())
    );
}

#[test]
fn a_query_given_up_leaves_the_engine_fit() {
    let engine = engine_with_items();
    let mut rows = engine.query("SELECT * FROM items, range(1000)").unwrap();
    assert!(rows.next_batch().unwrap().is_some());
    drop(rows);
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn a_second_query_is_refused_while_the_first_runs() {
    let engine = engine_with_items();
    let mut first = engine
        .query("SELECT key FROM items, range(10) ORDER BY key")
        .unwrap();
    let mut seen = first.next_batch().unwrap().unwrap().num_rows();
    let error = error_of(&engine, "SELECT 1");
    assert!(matches!(error, EngineError::Query { .. }), "{error:?}");
    // The first one is none the worse for it: neither cut off quietly nor broken.
    while let Some(batch) = first.next_batch().unwrap() {
        seen += batch.num_rows();
    }
    assert_eq!(seen, 600_000);
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn batches_outlive_the_engine() {
    let engine = engine_with_items();
    let batches = drain(
        engine
            .query("SELECT remark FROM items WHERE key = 1")
            .unwrap(),
    )
    .unwrap();
    drop(engine);
    assert_eq!(batches[0].num_rows(), 1);
    assert!(format!("{:?}", batches[0].column(0)).contains(CANARY));
}

#[test]
fn the_version_is_read_back() {
    assert_eq!(crate::engine_version(), "duckdb 2.0.0");
}

/// The batch with only some of its columns.
fn only(batch: &arrow::array::RecordBatch, columns: &[usize]) -> arrow::array::RecordBatch {
    batch.project(columns).unwrap()
}

#[test]
fn columns_that_a_file_lacks_are_null_there() {
    let schema: Vec<_> = ["key", "flag", "remark"].map(String::from).into();
    let mut engine = engine();
    // The first file is older than `flag`, the second has its columns in another order.
    let files = vec![
        sealed(&only(&items(0, 100), &[0, 6])),
        sealed(&only(&items(100, 50), &[6, 4, 0])),
    ];
    engine.add_table_with("items", &schema, files).unwrap();
    let lines = ask(
        &engine,
        "SELECT * FROM items WHERE key IN (1, 101) ORDER BY key",
    )
    .unwrap();
    assert_eq!(
        lines,
        [format!("1|NULL|{CANARY} 1"), format!("101|R|{CANARY} 101")]
    );
    assert_eq!(ask_number(&engine, "SELECT count(flag) FROM items"), 50);
    assert_eq!(
        ask_number(&engine, "SELECT count(*) FROM items WHERE flag IS NULL"),
        100
    );
    // What the manifest does not name is not there, though the files have it.
    assert!(
        engine
            .add_table_with("none", &[], vec![sealed(&items(0, 1))])
            .is_err()
    );
}
