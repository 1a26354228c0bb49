//! The settings that make DuckDB harmless, in the order that they need, and the probes that show it.

use crate::connection::Connection;
use crate::error::{Detail, EngineError};
use crate::ffi::Kind;
use crate::settings::{MAX_THREADS, MIN_MEMORY, Settings, Spill};

/// A directory that does not exist and that nobody here can make.
const NOWHERE: &str = "/nonexistent/duckblind";

/// The options of the open call: in force before the first statement could run.
pub(crate) fn open_options(
    settings: &Settings,
) -> Result<Vec<(&'static str, String)>, EngineError> {
    check_limits(settings.threads, settings.memory_bytes)?;
    let fixed = [
        ("allow_unsigned_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("allow_extension_repositories", "forbidden"),
        ("allow_persistent_secrets", "false"),
        ("allow_unredacted_secrets", "false"),
        ("home_directory", NOWHERE),
        ("secret_directory", NOWHERE),
        ("extension_directory", NOWHERE),
        // Decrypted bytes live in a query's own memory, not in a cache, and never on disk. A cache would also
        // mix what two openings of one file saw, where no digest tells them apart.
        ("enable_external_file_cache", "false"),
        ("external_file_cache_spill", "false"),
        // Even where spill is off: should something write after all, it writes ciphertext.
        ("temp_file_encryption", "true"),
        // Errors come with place and kind instead of a drawing.
        ("errors_as_json", "true"),
        // Rows come in the order of the files: the same query gives the same answer twice.
        ("preserve_insertion_order", "true"),
        ("custom_user_agent", "duckblind"),
        // A standby needs no workers; a job's own number is set with its limits.
        ("threads", "1"),
        ("async_threads", "0"),
        // Without a number, a change of the threads asks the file system for the machine's.
        ("http_client_pool_capacity", "1"),
    ];
    let mut options: Vec<_> = fixed
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    options.push(("memory_limit", format!("{}B", settings.memory_bytes)));
    match &settings.spill {
        Spill::Off => options.push(("temp_directory", String::new())),
        Spill::Encrypted { dir, .. } => {
            let dir = dir
                .to_str()
                .filter(|_| dir.is_absolute())
                .ok_or(EngineError::Limits {
                    what: "the spill directory is not an absolute path in UTF-8",
                })?;
            options.push(("temp_directory", dir.to_owned()));
        }
    }
    Ok(options)
}

/// Everything that is set once the file system of ours is there, but for the final lock.
pub(crate) fn confine(connection: &Connection, settings: &Settings) -> Result<(), EngineError> {
    let step = |what, sql: &str| {
        connection
            .run(sql)
            .map_err(|e| EngineError::of_setup(what, e))
    };
    if let Spill::Encrypted { max_bytes, .. } = &settings.spill {
        // As an option of the open call it would be taken and not be heeded.
        step(
            "max_temp_directory_size",
            &format!("SET GLOBAL max_temp_directory_size = '{max_bytes}B'"),
        )?;
    }
    step(
        "allowed_directories",
        "SET GLOBAL allowed_directories = ['sealed://']",
    )?;
    // One way: nothing turns it on again. It also lets the spill directory in.
    step(
        "enable_external_access",
        "SET GLOBAL enable_external_access = false",
    )?;
    if settings.spill == Spill::Off {
        // Spill writes through the same file system: only without it can it go altogether.
        step(
            "disabled_filesystems",
            "SET GLOBAL disabled_filesystems = 'LocalFileSystem'",
        )?;
    }
    probe_confinement(connection)
}

/// A job's limits, then the lock: after it no setting changes any more.
pub(crate) fn limit_and_lock(
    connection: &Connection,
    threads: u32,
    memory_bytes: u64,
) -> Result<(), EngineError> {
    limit(connection, threads, memory_bytes)?;
    connection
        .run("SET GLOBAL lock_configuration = true")
        .map_err(|e| EngineError::of_setup("lock_configuration", e))?;
    if is_locked(connection)? {
        Ok(())
    } else {
        Err(EngineError::Setup {
            what: "lock_configuration",
            detail: Detail::new("it reads back as not set"),
        })
    }
}

/// Goes through what a job will go through, but for the lock: the code and the pages of it are met
/// now, not when a job waits for them.
pub(crate) fn rehearse(connection: &Connection, settings: &Settings) -> Result<(), EngineError> {
    limit(connection, settings.threads, settings.memory_bytes)?;
    is_locked(connection)?;
    Ok(())
}

fn limit(connection: &Connection, threads: u32, memory_bytes: u64) -> Result<(), EngineError> {
    check_limits(threads, memory_bytes)?;
    let step = |what, sql: &str| {
        connection
            .run(sql)
            .map_err(|e| EngineError::of_setup(what, e))
    };
    step(
        "memory_limit",
        &format!("SET GLOBAL memory_limit = '{memory_bytes}B'"),
    )?;
    step("threads", &format!("SET GLOBAL threads = {threads}"))?;
    // These read ahead, and decrypt. DuckDB would start four for every core, whatever the limit;
    // more than can run only push each other's bytes out of the caches.
    step(
        "async_threads",
        &format!("SET GLOBAL async_threads = {threads}"),
    )
}

fn check_limits(threads: u32, memory_bytes: u64) -> Result<(), EngineError> {
    if threads == 0 || threads > MAX_THREADS {
        return Err(EngineError::Limits { what: "threads" });
    }
    if memory_bytes < MIN_MEMORY {
        return Err(EngineError::Limits { what: "memory" });
    }
    Ok(())
}

/// Statements that DuckDB itself must deny, whatever the gate says about them.
pub(crate) const DENIED: [(&str, &str); 7] = [
    (
        "reading a local file",
        "SELECT count(*) FROM read_text('/proc/self/environ')",
    ),
    (
        "listing local files",
        "SELECT count(*) FROM glob('/proc/self/*')",
    ),
    (
        "writing a local file",
        "COPY (SELECT 1) TO '/dev/null' (FORMAT csv, USE_TMP_FILE false)",
    ),
    (
        "writing a sealed file",
        "COPY (SELECT 1) TO 'sealed://probe.csv' (FORMAT csv, USE_TMP_FILE false)",
    ),
    (
        "attaching a database file",
        "ATTACH '/nonexistent/probe.db' AS probe",
    ),
    (
        "loading an extension",
        "LOAD '/nonexistent/probe.duckdb_extension'",
    ),
    ("installing an extension", "INSTALL httpfs"),
];

fn probe_confinement(connection: &Connection) -> Result<(), EngineError> {
    for (probe, sql) in DENIED {
        match connection.run(sql) {
            Err(error) if error.kind == Kind::Permission => {}
            _ => return Err(EngineError::NotLockedDown { probe }),
        }
    }
    Ok(())
}

/// Reads the lock back. That DuckDB keeps what it locks is for a test: trying it here would make
/// every job wait for an exception to be thrown and caught.
fn is_locked(connection: &Connection) -> Result<bool, EngineError> {
    let locked = connection
        .ask("SELECT current_setting('lock_configuration')")
        .map_err(|e| EngineError::of_setup("reading the lock back", e))?;
    Ok(locked.as_deref() == Some("true"))
}
