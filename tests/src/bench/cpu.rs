//! Processor time of a process, from `/proc/PID/stat` (proc(5)).

use anyhow::{Context, Result};

/// Seconds that process `pid` has computed so far, user and system, its threads included.
pub(super) fn seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; `utime` and `stime` are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
