//! Sealing: its speed, against writing the same Parquet unencrypted, and its memory, whatever the size.

mod peak;
mod ratio;

use anyhow::Result;

use super::Effort;
use super::report::Report;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    ratio::measure(effort, report)?;
    peak::measure(effort, report)
}
