//! One SELECT, on the job's tables, with harmless functions.

use crate::testing::*;
use crate::{Engine, EngineError};

fn not_one_select(engine: &Engine, sql: &str) {
    let error = error_of(engine, sql);
    assert!(
        matches!(error, EngineError::NotOneSelect { .. }),
        "{sql}: {error:?}"
    );
}

fn refused(engine: &Engine, sql: &str) {
    let error = error_of(engine, sql);
    assert!(
        matches!(error, EngineError::Refused { .. }),
        "{sql}: {error:?}"
    );
}

fn unknown_table(engine: &Engine, sql: &str) {
    let error = error_of(engine, sql);
    assert!(
        matches!(error, EngineError::UnknownTable { .. }),
        "{sql}: {error:?}"
    );
}

#[test]
fn several_statements_have_no_effect_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out.csv");
    let engine = engine_with_items();
    for first in [
        format!("COPY (SELECT 1) TO '{}'", out.display()),
        "CREATE TABLE made AS SELECT 1".into(),
        "CREATE OR REPLACE VIEW items AS SELECT 1".into(),
        "DROP VIEW items".into(),
        "ATTACH ':memory:' AS other".into(),
        "SELECT 1".into(),
    ] {
        not_one_select(&engine, &format!("{first}; SELECT 1"));
        not_one_select(&engine, &format!("SELECT 1; {first}"));
        not_one_select(&engine, &format!("SELECT 1; {first};"));
    }
    assert!(!out.exists());
    let ask = |sql: &str| engine.connection().ask(sql).ok().flatten().unwrap();
    assert_eq!(ask("SELECT count(*) FROM duckdb_tables()"), "0");
    assert_eq!(
        ask("SELECT count(*) FROM duckdb_databases() WHERE NOT internal"),
        "1"
    );
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn nothing_but_select_is_a_select() {
    let engine = engine_with_items();
    for sql in [
        "",
        ";",
        "-- nothing",
        "CREATE TABLE t (a INT)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "CREATE SECRET s (TYPE http, BEARER_TOKEN 'b')",
        "INSERT INTO items VALUES (1)",
        "UPDATE items SET key = 1",
        "DELETE FROM items",
        "DROP VIEW items",
        "COPY items TO 'x'",
        "ATTACH ':memory:' AS m",
        "SET threads = 1",
        "PRAGMA add_parquet_key('k', '0123456789012345')",
        "PRAGMA version",
        "CALL range(3)",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
        "LOAD json",
        "USE memory",
        "EXPORT DATABASE 'x'",
        "PIVOT items ON flag USING count(*)",
    ] {
        not_one_select(&engine, sql);
    }
    for sql in [
        "SELECT ?",
        "SELECT $1",
        "SELECT * FROM items WHERE key = $key",
    ] {
        not_one_select(&engine, sql);
    }
}

#[test]
fn statements_inside_a_select_are_refused() {
    let engine = engine_with_items();
    for sql in [
        "WITH x AS (INSERT INTO items VALUES (1) RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM items RETURNING *) SELECT * FROM x",
        "WITH x AS (UPDATE items SET key = 1 RETURNING *) SELECT * FROM x",
        "WITH x AS (COPY items TO '/dev/null') SELECT * FROM x",
        "SELECT * FROM (WITH x AS (DELETE FROM items RETURNING *) SELECT * FROM x)",
    ] {
        let error = error_of(&engine, sql);
        assert!(
            matches!(
                error,
                EngineError::Refused { .. } | EngineError::Syntax { .. }
            ),
            "{sql}: {error:?}"
        );
    }
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn table_functions_that_read_are_refused_wherever_they_hide() {
    let engine = engine_with_items();
    for call in [
        "read_parquet('sealed://0/0.parquet')",
        "parquet_scan('sealed://0/0.parquet')",
        "read_text('/etc/passwd')",
        "read_csv_auto('/etc/passwd')",
        "glob('/*')",
        "duckdb_views()",
        "duckdb_settings()",
        "query('SELECT 1')",
        "query_table('items')",
        "sqlite_scan('a', 'b')",
        "json_execute_serialized_sql('x')",
        "pragma_table_info('items')",
        "duckdb_temporary_files()",
        "main.read_text('/etc/passwd')",
        "system.main.read_text('/etc/passwd')",
    ] {
        for sql in [
            format!("SELECT * FROM {call}"),
            format!("FROM {call}"),
            format!("SELECT (SELECT count(*) FROM {call})"),
            format!("SELECT 1 WHERE EXISTS (FROM {call})"),
            format!("SELECT 1 IN (SELECT 2 FROM {call})"),
            format!("WITH x AS (SELECT * FROM {call}) SELECT 1"),
            format!("WITH x AS MATERIALIZED (SELECT * FROM {call}) SELECT * FROM x"),
            format!("SELECT * FROM items, LATERAL (SELECT * FROM {call})"),
            format!("SELECT * FROM items LEFT JOIN {call} ON true"),
            format!("SELECT 1 UNION ALL SELECT count(*) FROM {call}"),
            format!("SELECT * FROM items ORDER BY (SELECT count(*) FROM {call})"),
            format!("SELECT * FROM items LIMIT (SELECT count(*) FROM {call})"),
            format!("SELECT count(*) FILTER (WHERE EXISTS (FROM {call})) FROM items"),
            format!("SELECT sum(key ORDER BY (SELECT 1 FROM {call})) FROM items"),
            format!("SELECT sum(key) OVER (PARTITION BY (SELECT 1 FROM {call})) FROM items"),
            format!(
                "SELECT sum(key) OVER w FROM items WINDOW w AS (ORDER BY (SELECT 1 FROM {call}))"
            ),
            format!("SELECT flag FROM items GROUP BY flag HAVING (SELECT true FROM {call})"),
            format!("SELECT key FROM items QUALIFY (SELECT true FROM {call})"),
            format!("SELECT DISTINCT ON ((SELECT 1 FROM {call})) key FROM items"),
            format!("SELECT * FROM range((SELECT count(*) FROM {call}))"),
            format!("SELECT list_transform([1], lambda x: (SELECT 1 FROM {call}))"),
            format!("SELECT list_transform([1], x -> (SELECT 1 FROM {call}))"),
            format!("SELECT CASE WHEN true THEN (SELECT 1 FROM {call}) END"),
            format!("SELECT * REPLACE ((SELECT 1 FROM {call}) AS key) FROM items"),
            format!("SELECT COLUMNS(*) + (SELECT 1 FROM {call}) FROM items"),
            format!("VALUES ((SELECT 1 FROM {call}))"),
            format!("SELECT * FROM (VALUES ((SELECT 1 FROM {call})))"),
            format!("SELECT [(SELECT 1 FROM {call})][1]"),
            format!("SELECT {{'a': (SELECT 1 FROM {call})}}"),
            format!(
                "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i FROM r, {call}) SELECT * FROM r"
            ),
            format!("DESCRIBE SELECT * FROM {call}"),
            format!("SUMMARIZE SELECT * FROM {call}"),
            format!("SELECT * FROM (PIVOT (SELECT * FROM {call}) ON a IN (1) USING count(*))"),
            format!("SELECT * FROM (UNPIVOT (SELECT * FROM {call}) ON a)"),
        ] {
            refused(&engine, &sql);
        }
    }
}

#[test]
fn functions_that_look_at_the_engine_are_refused() {
    let engine = engine_with_items();
    for sql in [
        "SELECT current_setting('temp_directory')",
        "SELECT getvariable('x')",
        "SELECT write_log('x')",
        "SELECT json_serialize_plan('SELECT * FROM items')",
        "SELECT json_serialize_sql('SELECT 1')",
        "SELECT nextval('s')",
        "SELECT [current_setting(x) FOR x IN ['threads']]",
    ] {
        refused(&engine, sql);
    }
}

#[test]
fn only_the_tables_of_the_job_are_tables() {
    let engine = engine_with_items();
    for sql in [
        "SELECT * FROM nothing",
        "SELECT * FROM duckdb_views",
        "SELECT * FROM duckdb_settings",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM system.main.duckdb_views",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'sealed://0/0.parquet'",
        "SELECT * FROM \"data.csv\"",
        "DESCRIBE duckdb_views",
        "SUMMARIZE '/etc/passwd'",
        "SELECT * FROM (WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views), duckdb_views",
        "WITH x AS (SELECT 1) SELECT * FROM main.x",
    ] {
        unknown_table(&engine, sql);
    }
    for sql in [
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SHOW DATABASES",
        "SELECT * FROM (SHOW TABLES)",
    ] {
        let error = error_of(&engine, sql);
        assert!(
            matches!(
                error,
                EngineError::Refused { .. } | EngineError::NotOneSelect { .. }
            ),
            "{sql}: {error:?}"
        );
    }
}

/// Where no CTE of that name is visible, the name is the catalog's.
#[test]
fn a_cte_hides_a_system_view_only_where_it_is_visible() {
    let engine = engine_with_items();
    for name in [
        "pg_settings",
        "PG_Settings",
        "\"pg_settings\"",
        "duckdb_views",
        "sqlite_master",
    ] {
        for sql in [
            // A later one.
            format!("WITH a AS (SELECT * FROM pg_settings), {name} AS (SELECT 1) SELECT * FROM a"),
            format!(
                "WITH a AS (SELECT * FROM {name}), pg_settings AS (SELECT 1), sqlite_master AS (SELECT 1), duckdb_views AS (SELECT 1) SELECT * FROM a"
            ),
            format!(
                "WITH a AS MATERIALIZED (SELECT * FROM {name}), {name} AS MATERIALIZED (SELECT 1) SELECT * FROM a"
            ),
            format!(
                "WITH a AS NOT MATERIALIZED (SELECT * FROM {name}), {name} AS (SELECT 1) SELECT * FROM a"
            ),
            format!(
                "WITH a AS (SELECT 1), b AS (SELECT * FROM a, {name}), {name} AS (SELECT 1) SELECT * FROM b"
            ),
            format!(
                "WITH a AS (SELECT (SELECT count(*) FROM {name})), {name} AS (SELECT 1) SELECT * FROM a"
            ),
            format!("WITH a AS (DESCRIBE {name}), {name} AS (SELECT 1) SELECT * FROM a"),
            format!(
                "SELECT * FROM (WITH a AS (SELECT * FROM {name}), {name} AS (SELECT 1) SELECT * FROM a)"
            ),
            format!(
                "WITH o AS (WITH a AS (SELECT * FROM {name}), {name} AS (SELECT 1) SELECT * FROM a) SELECT * FROM o"
            ),
            format!(
                "WITH o AS (WITH a AS (SELECT * FROM {name}) SELECT * FROM a), {name} AS (SELECT 1) SELECT * FROM o"
            ),
            format!(
                "SELECT 1 UNION ALL (WITH a AS (SELECT count(*) FROM {name}), {name} AS (SELECT 1) SELECT * FROM a)"
            ),
            format!(
                "WITH RECURSIVE a AS (SELECT * FROM {name}), {name} AS (SELECT 1) SELECT * FROM a"
            ),
            format!(
                "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r, {name} WHERE i < 3), {name} AS (SELECT 1) SELECT * FROM r"
            ),
            // Itself.
            format!("WITH {name} AS (SELECT * FROM {name}) SELECT * FROM {name}"),
            format!("WITH RECURSIVE {name} AS (SELECT * FROM {name}) SELECT * FROM {name}"),
            format!(
                "WITH {name} AS (WITH a AS (SELECT * FROM {name}) SELECT * FROM a) SELECT * FROM {name}"
            ),
            format!(
                "WITH RECURSIVE {name} AS (SELECT count(*) AS i FROM {name} UNION ALL SELECT i FROM {name} WHERE false) SELECT * FROM {name}"
            ),
            // One of a scope that has ended, or of none.
            format!("SELECT * FROM (WITH {name} AS (SELECT 1) SELECT * FROM {name}), {name}"),
            format!(
                "WITH a AS (WITH {name} AS (SELECT 1) SELECT * FROM {name}) SELECT * FROM a, {name}"
            ),
            format!(
                "WITH RECURSIVE {name}(i) AS (SELECT 1), r(a, b) USING KEY (a, max((SELECT count(*) FROM {name}))) AS (SELECT 1, 2 UNION SELECT a, b FROM r WHERE a < 1) SELECT * FROM r"
            ),
        ] {
            unknown_table(&engine, &sql);
        }
    }
}

#[test]
fn ctes_see_those_before_them() {
    let engine = engine_with_items();
    for sql in [
        "WITH pg_settings AS (SELECT 1 AS x), a AS (SELECT * FROM pg_settings) SELECT x FROM a",
        "WITH \"Pg_Settings\" AS (SELECT 1 AS x), a AS (SELECT * FROM PG_SETTINGS) SELECT x FROM A",
        "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (SELECT * FROM a), c AS (SELECT a.x FROM a, b) SELECT * FROM a, b, c",
        "WITH a AS (SELECT 1 AS x), b AS (WITH c AS (SELECT * FROM a) SELECT * FROM c) SELECT * FROM b",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT x + 1 AS x FROM a) SELECT * FROM a)",
        "WITH a AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM a), x FROM a ORDER BY (SELECT x FROM a)",
        "WITH items AS (SELECT key FROM items) SELECT count(*) FROM items",
        "WITH RECURSIVE s AS (SELECT 1 AS i), r(i) AS (SELECT i FROM s UNION ALL SELECT r.i + 1 FROM r, s WHERE r.i < 5), t AS (SELECT max(i) FROM r) SELECT * FROM t",
        "WITH RECURSIVE pg_settings(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM pg_settings WHERE i < 5) SELECT * FROM pg_settings",
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT (SELECT i + 1) FROM (WITH q AS (SELECT * FROM r) SELECT * FROM q) WHERE i < 5) SELECT * FROM r",
        "WITH RECURSIVE r(a, b) USING KEY (a, max(b)) AS (SELECT 1, 2 UNION SELECT a, b + 1 FROM r WHERE b < 4) SELECT * FROM r",
    ] {
        match ask(&engine, sql) {
            Ok(lines) => assert!(!lines.is_empty(), "{sql}"),
            Err(error) => panic!("{sql}: {:?}", error.to_job_error().message),
        }
    }
}

#[test]
fn ordinary_queries_pass() {
    let engine = engine_with_items();
    for sql in [
        "SELECT 1",
        "SELECT 1;",
        " SELECT 1 ; -- done",
        "FROM items LIMIT 1",
        "VALUES (1), (2)",
        "SELECT * FROM range(3)",
        "SELECT unnest([1, 2])",
        "SELECT * FROM unnest([1, 2])",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT * FROM main.items LIMIT 1",
        "SELECT * FROM memory.main.ITEMS LIMIT 1",
        "SELECT i.key FROM items AS i JOIN items AS j USING (key) LIMIT 1",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 FROM a) SELECT * FROM b",
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT * FROM r",
        "SELECT * FROM (PIVOT items ON flag IN ('A', 'N') USING count(*) GROUP BY quantity)",
        "SELECT (SELECT max(key) FROM items), version(), md5('x'), sha256('x'), hash(1)",
        "SELECT list_transform([1, 2], lambda x: x + 1), [x * 2 FOR x IN [1, 2]]",
        "SELECT sum(key) OVER w FROM items WINDOW w AS (ORDER BY key) LIMIT 1",
        "SELECT * EXCLUDE (remark) FROM items LIMIT 1",
        "SELECT * FROM json_each('[1, 2]')",
        "SELECT '{\"a\": 1}'::JSON ->> 'a'",
        "SELECT key FROM items USING SAMPLE 10 ROWS",
        "SELECT DISTINCT flag FROM items INTERSECT SELECT 'A'",
    ] {
        match ask(&engine, sql) {
            Ok(lines) => assert!(!lines.is_empty(), "{sql}"),
            Err(error) => panic!("{sql}: {:?}", error.to_job_error().message),
        }
    }
}

#[test]
fn depth_is_bounded() {
    let engine = engine();
    let deep = format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(ask(&engine, &deep).is_err());
    let nested = (0..2_000).fold("SELECT 1".to_owned(), |inner, _| {
        format!("SELECT * FROM ({inner})")
    });
    assert!(ask(&engine, &nested).is_err());
}
