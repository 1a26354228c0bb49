//! Measurements, one module per group, and what they share.

#[cfg(feature = "simulator")]
mod attestation;
mod job;
mod memory;
mod pool;
pub mod raw_quic;
mod relay;
pub mod report;
mod seal;
mod sealed;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cache;
use report::Report;
pub use sealed::scan;

/// The groups in the order in which they run: what needs a quiet machine first.
pub const GROUPS: [&str; 6] = ["job", "attestation", "sealed", "seal", "relay", "memory"];

/// Threads of every engine that is measured.
const THREADS: u32 = 2;
/// Memory of every engine that is measured.
const MEMORY: u64 = 12 << 30;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Fewer repetitions.
    pub quick: bool,
    /// TPC-H scale of the groups that read tables.
    pub scale: f64,
}

impl Effort {
    /// How often two things are measured in turn.
    fn alternations(self) -> usize {
        if self.quick { 3 } else { 5 }
    }
}

/// Measures one group.
pub fn measure(group: &str, effort: Effort, report: &mut Report) -> Result<()> {
    match group {
        "job" => job::measure(effort, report),
        #[cfg(feature = "simulator")]
        "attestation" => attestation::measure(effort, report),
        #[cfg(not(feature = "simulator"))]
        "attestation" => bail!("only a build with the simulated platforms measures attestation"),
        "sealed" => sealed::measure(effort, report),
        "seal" => seal::measure(effort, report),
        "relay" => relay::measure(effort, report),
        "memory" => memory::measure(report),
        other => bail!("no group {other}; there are: {}", GROUPS.join(", ")),
    }
}

/// The transport values of the product, with room for the bench's own streams.
pub(crate) fn transport() -> quinn::TransportConfig {
    let mut config = duckblind::client::transport::transport_config();
    config.max_concurrent_bidi_streams(16u32.into());
    config
}

/// A folder for large files, on the disk of the cache rather than in memory; removed when dropped.
fn workspace() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(cache::folder("bench")?)?)
}

/// The files of a folder that end in `.parquet`, sorted.
fn parquet_files(dir: &std::path::Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
