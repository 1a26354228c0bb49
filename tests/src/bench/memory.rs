//! What an idle enclave takes: proportional set size after a minute without a job.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::pool::Pool;
use super::report::{Measured, Report};
use crate::memory::pss;
use crate::options::Options;
use crate::process::descendants;
use crate::stack::Stack;

const IDLE: Duration = Duration::from_secs(60);
const STANDBYS: u32 = 4;

pub(super) fn measure(report: &mut Report) -> Result<()> {
    let stack = Stack::start(Options::default().limit("standbys", STANDBYS.into()));
    Pool::of(stack.dir()).full()?;
    sleep(IDLE);
    let standbys = descendants(stack.enclave.pid());
    ensure!(
        standbys.len() == STANDBYS as usize,
        "{} standbys",
        standbys.len()
    );
    let supervisor = mib(pss(stack.enclave.pid())?);
    let mut sum = 0.0;
    for pid in standbys {
        sum += mib(pss(pid)?);
    }
    let standby = sum / f64::from(STANDBYS);
    report.add(Measured::value("memory", "enclave-idle-mib", supervisor, "MiB").target(40.0));
    report.add(Measured::value("memory", "standby-mib", standby, "MiB").target(30.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "some MiB")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
