//! Simulated platforms: real bytes, real signatures, roots of their own that are made once per
//! directory. They protect nothing. Behind the cargo feature `simulator`.
//!
//! What they measure is the running program itself: nobody tells them what to say.

mod disk;
mod error;
mod revocation;
mod snp;
pub(crate) mod tdx;
mod x509;

use std::fs::File;
use std::path::Path;

use duckblind_protocol::ids::Digest;

pub use error::SimulatorError;
#[cfg(test)]
pub(crate) use revocation::RevocationList;
#[cfg(test)]
pub(crate) use snp::{Authority, Chip, CloudAuthority, GENERATION, TCB, chip_extensions};
pub use snp::{ReportVersion, SimulatedSnp};
pub use tdx::SimulatedTdx;
pub use x509::MARKER;

use crate::measurement::Measurement;

/// SHA-256 of the platforms' root certificates: what a development policy pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Of the SEV-SNP platform.
    pub snp: Digest,
    /// Of the TDX platform.
    pub tdx: Digest,
}

/// Makes the platforms in `dir` unless they are there, and returns their roots. Several processes
/// may do so at once: one makes them, the others wait.
pub fn create(dir: &Path) -> Result<Roots, SimulatorError> {
    let _lock = disk::lock(dir)?;
    snp::create(dir)?;
    tdx::create(dir)?;
    roots(dir)
}

/// The roots of the platforms that [`create`] made in `dir`.
pub fn roots(dir: &Path) -> Result<Roots, SimulatorError> {
    Ok(Roots {
        snp: snp::root(dir)?,
        tdx: tdx::root(dir)?,
    })
}

/// SHA-384 of the running program.
fn measure_self() -> Result<Measurement, SimulatorError> {
    let path = Path::new("/proc/self/exe");
    File::open(path)
        .and_then(Measurement::of_binary)
        .map_err(|e| SimulatorError::io(path, e))
}

#[cfg(test)]
mod tests;
