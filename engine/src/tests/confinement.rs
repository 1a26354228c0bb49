//! What DuckDB itself denies, tried on the connection, behind the gate's back.

use crate::connection::Connection;
use crate::ffi::Kind;
use crate::lock_down::DENIED;
use crate::testing::*;
use crate::{Engine, EngineError, Settings, Spill};

fn locked() -> Engine {
    let engine = engine_with_items();
    engine.set_limits(2, 128 << 20).unwrap();
    engine
}

fn denied(connection: &Connection, sql: &str) {
    match connection.run(sql) {
        Err(error) => assert_eq!(error.kind, Kind::Permission, "{sql}: {}", error.message),
        Ok(()) => panic!("{sql} was not denied"),
    }
}

fn fails(connection: &Connection, sql: &str) {
    assert!(connection.run(sql).is_err(), "{sql} worked");
}

#[test]
fn the_probes_are_denied_before_and_after_the_lock() {
    let engine = engine();
    for (_, sql) in DENIED {
        denied(engine.connection(), sql);
    }
    engine.set_limits(1, 64 << 20).unwrap();
    for (_, sql) in DENIED {
        denied(engine.connection(), sql);
    }
}

#[test]
fn local_files_are_denied_however_they_are_named() {
    let engine = locked();
    for sql in [
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM read_parquet('../items.parquet')",
        "SELECT * FROM read_text('~/x')",
        "SELECT * FROM read_text('file:///etc/passwd')",
        "SELECT * FROM read_text('/dev/stdin')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
    ] {
        denied(engine.connection(), sql);
    }
    // With the scans of unknown names gone, these are names like any other.
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '/etc/x.csv'",
        "FROM 'sealed://0/0.parquet'",
    ] {
        fails(engine.connection(), sql);
    }
}

#[test]
fn sealed_paths_do_not_climb() {
    let engine = locked();
    for path in [
        "sealed://../../etc/passwd",
        "sealed:///etc/passwd",
        "sealed://0/../0/0.parquet",
        "sealed://0/0.parquet/",
        "SEALED://0/0.parquet",
        "sealed://*/*.parquet",
        "sealed://0/0.parquet?x=1",
    ] {
        fails(
            engine.connection(),
            &format!("SELECT * FROM read_parquet('{path}')"),
        );
    }
    assert_eq!(
        engine
            .connection()
            .ask("SELECT count(*) FROM read_parquet('sealed://0/0.parquet')")
            .ok()
            .flatten()
            .unwrap(),
        "50000"
    );
}

#[test]
fn nothing_is_written() {
    let engine = locked();
    for sql in [
        "COPY items TO '/tmp/duckblind-engine-test.csv'",
        "COPY items TO '/dev/stdout'",
        "COPY items TO 'out.parquet' (FORMAT parquet)",
        "COPY items TO 'sealed://0/0.parquet' (FORMAT parquet, USE_TMP_FILE false)",
        "COPY items TO 'sealed://0/new.parquet' (FORMAT parquet)",
        "COPY items TO 'sealed://dir' (FORMAT parquet, PER_THREAD_OUTPUT)",
        "COPY items TO 'sealed://dir' (FORMAT parquet, PARTITION_BY flag)",
        "EXPORT DATABASE '/tmp/duckblind-engine-test'",
        "EXPORT DATABASE 'sealed://export'",
    ] {
        denied(engine.connection(), sql);
    }
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
}

#[test]
fn nothing_is_attached_loaded_or_installed() {
    let engine = locked();
    for sql in [
        "ATTACH '/tmp/duckblind-engine-test.db'",
        "LOAD httpfs",
        "LOAD 'sealed://0/0.parquet'",
        "INSTALL httpfs",
        "INSTALL httpfs FROM community",
        "FORCE INSTALL 'http://127.0.0.1:9/x.duckdb_extension'",
    ] {
        fails(engine.connection(), sql);
    }
    assert!(!std::path::Path::new("/tmp/duckblind-engine-test.db").exists());
}

#[test]
fn the_network_is_not_reached() {
    let engine = locked();
    for url in [
        "http://127.0.0.1:9/x",
        "https://127.0.0.1:9/x",
        "s3://bucket/x.parquet",
        "hf://datasets/x",
    ] {
        fails(
            engine.connection(),
            &format!("SELECT * FROM read_parquet('{url}')"),
        );
    }
}

#[test]
fn no_setting_changes_after_the_lock() {
    let engine = locked();
    for sql in [
        "SET threads = 1",
        "SET memory_limit = '100GB'",
        "SET temp_directory = '/tmp'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "SET allowed_directories = ['/']",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_configs = ['threads']",
        "SET disabled_filesystems = ''",
        "RESET disabled_filesystems",
        "SET autoload_known_extensions = true",
        "SET allow_unredacted_secrets = true",
        "SET temp_file_encryption = false",
        "SET profiling_output = '/tmp/x'",
        "SET log_query_path = '/tmp/x'",
        "SET TimeZone = 'UTC'",
        "PRAGMA enable_profiling",
        "PRAGMA threads = 1",
        "CALL enable_logging('QueryLog')",
        "CALL enable_logging(storage = 'file', storage_path = '/tmp/x')",
    ] {
        fails(engine.connection(), sql);
    }
}

#[test]
fn secrets_neither_persist_nor_show() {
    let engine = locked();
    fails(
        engine.connection(),
        "CREATE PERSISTENT SECRET x (TYPE http, BEARER_TOKEN 'b')",
    );
    fails(
        engine.connection(),
        "SELECT * FROM duckdb_secrets(redact = false)",
    );
}

#[test]
fn the_settings_read_back_as_meant() {
    let engine = locked();
    for (name, value) in [
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
        ("autoload_known_extensions", "false"),
        ("autoinstall_known_extensions", "false"),
        ("allow_unsigned_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("allow_persistent_secrets", "false"),
        ("allow_unredacted_secrets", "false"),
        ("enable_external_file_cache", "false"),
        ("external_file_cache_spill", "false"),
        ("temp_file_encryption", "true"),
        ("allowed_directories", "['sealed://']"),
        ("allowed_paths", "[]"),
        ("allowed_configs", "[]"),
        ("temp_directory", ""),
        ("threads", "2"),
        ("async_threads", "2"),
    ] {
        let got = engine
            .connection()
            .ask(&format!("SELECT current_setting('{name}')"))
            .ok()
            .flatten();
        assert_eq!(got.unwrap_or_default(), value, "{name}");
    }
}

#[test]
fn only_the_linked_extensions_are_there() {
    // Asked before the local file system is gone: DuckDB looks for installed ones while it lists them.
    let options = crate::lock_down::open_options(&settings()).unwrap();
    let connection = Connection::open(&options, std::sync::Arc::default()).unwrap();
    let loaded = connection
        .ask("SELECT string_agg(extension_name, ',' ORDER BY extension_name) FROM duckdb_extensions() WHERE loaded")
        .ok()
        .flatten();
    assert_eq!(loaded.as_deref(), Some("core_functions,json,parquet"));
}

#[test]
fn limits_are_checked_and_set_once() {
    for (threads, memory) in [(0, 64 << 20), (257, 64 << 20), (1, 1 << 20)] {
        let settings = Settings {
            threads,
            memory_bytes: memory,
            spill: Spill::Off,
        };
        assert!(matches!(
            Engine::open(&settings),
            Err(EngineError::Limits { .. })
        ));
        assert!(matches!(
            engine().set_limits(threads, memory),
            Err(EngineError::Limits { .. })
        ));
    }
    let engine = engine();
    engine.set_limits(1, 64 << 20).unwrap();
    assert!(matches!(
        engine.set_limits(2, 64 << 20),
        Err(EngineError::Limits { .. })
    ));
}

#[test]
fn a_query_without_limits_set_runs_locked_all_the_same() {
    let engine = engine_with_items();
    assert_eq!(ask_number(&engine, "SELECT count(*) FROM items"), 60_000);
    fails(engine.connection(), "SET threads = 1");
}
