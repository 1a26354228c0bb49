//! Simulated platforms: real bytes, real signatures, roots of their own that are made once per
//! directory. They protect nothing. Behind the cargo feature `simulator`.
//!
//! What they measure is the running program itself: nobody tells them what to say.

mod disk;
mod error;
mod revocation;
mod snp;
mod x509;

use std::fs::File;
use std::path::Path;

pub use error::SimulatorError;
pub use snp::SimulatedSnp;
#[cfg(test)]
pub(crate) use snp::{Authority, Chip, GENERATION, TCB, chip_extensions};
pub use x509::MARKER;

use duckblind_protocol::ids::Digest;

use crate::measurement::Measurement;

/// Makes a platform in `dir` unless there is one, and returns its root's digest. Several processes
/// may do so at once: one makes it, the others wait.
pub fn create(dir: &Path) -> Result<Digest, SimulatorError> {
    let _lock = disk::lock(dir)?;
    snp::create(dir)?;
    root_digest(dir)
}

/// SHA-256 of the root certificate in `dir`: what a development policy pins.
pub fn root_digest(dir: &Path) -> Result<Digest, SimulatorError> {
    snp::root(dir)
}

/// SHA-384 of the running program.
fn measure_self() -> Result<Measurement, SimulatorError> {
    let path = Path::new("/proc/self/exe");
    File::open(path)
        .and_then(Measurement::of_binary)
        .map_err(|e| SimulatorError::io(path, e))
}
