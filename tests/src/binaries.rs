//! The programs under test, run from a folder of this run alone, so that `/proc/PID/exe` tells ours from others'.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The four programs.
pub const PROGRAMS: [&str; 4] = [
    "duckblind",
    "duckblind-enclave",
    "duckblind-host",
    "duckblind-verifier",
];

const PREFIX: &str = "duckblind-run-";

/// Folders of runs that were killed before they could clean up.
fn remove_old_runs() {
    let entries = fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder in which this run keeps everything; `zz_leftovers` looks into it at the end.
pub fn run_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        remove_old_runs();
        let root = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).expect("cannot make a folder for this run");
        root.canonicalize()
            .expect("cannot resolve the folder of this run")
    })
}

/// A program of the set under test (environment variable `DUCKBLIND_BIN`).
///
/// # Panics
/// If the variable or a program is missing: a test that cannot run has failed.
pub fn program(name: &str) -> PathBuf {
    static SET: OnceLock<PathBuf> = OnceLock::new();
    SET.get_or_init(|| own_copy("DUCKBLIND_BIN", "bin"))
        .join(name)
}

/// A program of the product set, built without the simulator (environment variable `DUCKBLIND_PRODUCT_BIN`).
///
/// # Panics
/// As [`program`].
pub fn product_program(name: &str) -> PathBuf {
    static SET: OnceLock<PathBuf> = OnceLock::new();
    SET.get_or_init(|| own_copy("DUCKBLIND_PRODUCT_BIN", "product-bin"))
        .join(name)
}

fn own_copy(variable: &str, folder: &str) -> PathBuf {
    let from = std::env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| {
        panic!("{variable} does not name the folder of the built programs; run scripts/test, which builds them")
    });
    let to = run_root().join(folder);
    fs::create_dir_all(&to).expect("cannot make a folder for programs");
    for name in PROGRAMS {
        let source = from.join(name);
        assert!(
            source.is_file(),
            "{} is missing; run scripts/test, which builds it",
            source.display()
        );
        // A link needs no file open for writing, which a process started meanwhile would inherit.
        if fs::hard_link(&source, to.join(name)).is_err() {
            fs::copy(&source, to.join(name))
                .unwrap_or_else(|error| panic!("cannot copy {}: {error}", source.display()));
        }
    }
    to
}

/// Removes the folder of this run.
pub fn clean_up() {
    let _ = fs::remove_dir_all(run_root());
}
