//! Evidence of real machines. Where the files are is in `DUCKBLIND_VECTORS`; without them a test says so and checks
//! nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of all vectors, if `needed` is among them.
///
/// # Panics
/// If stderr is closed.
pub fn root(needed: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DUCKBLIND_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.join(needed).is_dir() {
        return Some(folder);
    }
    let text = format!(
        "SKIPPED: no {needed} of the test vectors in {}; set DUCKBLIND_VECTORS\n",
        folder.display()
    );
    // Past the test harness's capture: a skipped test must not look like a passed one.
    let written = std::io::stderr().write_all(text.as_bytes());
    written.expect("stderr takes a line");
    None
}
