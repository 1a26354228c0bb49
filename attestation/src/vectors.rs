//! Evidence of real machines, for tests. Where the files are is in `DUCKBLIND_VECTORS`; without them
//! the tests say so and check nothing.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of one kind of platform, if the vectors are on this machine.
pub(crate) fn folder(tee: &str) -> Option<PathBuf> {
    Some(root(tee)?.join(tee))
}

/// The folder of all vectors, if `needed` is among them.
pub(crate) fn root(needed: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let usual = || {
        workspace
            .parent()
            .map(|above| above.join("shared").join("vectors"))
    };
    let folder = std::env::var_os("DUCKBLIND_VECTORS")
        .map(PathBuf::from)
        .or_else(usual)?;
    if folder.join(needed).is_dir() {
        return Some(folder);
    }
    // Past the test harness's capture: a skipped test must not look like a passed one.
    let text = format!(
        "SKIPPED: no {needed} of the test vectors in {}; set DUCKBLIND_VECTORS\n",
        folder.display()
    );
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}
