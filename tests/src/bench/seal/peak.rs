//! The peak memory of `duckblind seal` over a CSV file of hundreds of megabytes, as it comes and sorted.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::report::{Measured, Report};
use super::super::{Effort, MEMORY, THREADS, workspace};
use crate::binaries::program;
use crate::command::{command, run};
use crate::memory::peak_kib;
use crate::plain::Plain;
use crate::tpch;

/// In MiB, for any size of input.
const TARGET: f64 = 300.0;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let work = workspace()?;
    let csv = work.path().join("lineitem.csv");
    let tables = tpch::tables(effort.scale)?;
    let lineitem = tables
        .iter()
        .find(|table| table.name == "lineitem")
        .context("lineitem")?;
    Plain::open(THREADS, MEMORY)?.write_csv(&lineitem.file, &csv)?;
    let mut new_key = command(&program("duckblind"), work.path());
    new_key.args(["keys", "new", "lineitem"]);
    let made = run(new_key, b"");
    ensure!(made.code == 0, "no key: {}", made.stderr);
    let mut worst: f64 = 0.0;
    for (name, more) in [
        ("csv-peak-mib", &[][..]),
        (
            "sorted-peak-mib",
            &["--sort-by", "l_shipdate", "--allow-rollback"],
        ),
    ] {
        let peak = peak_mib(work.path(), &csv, more)?;
        report.add(Measured::value("seal", name, peak, "MiB"));
        worst = worst.max(peak);
    }
    report.add(Measured::value("seal", "peak-mib", worst, "MiB").target(TARGET));
    Ok(())
}

fn peak_mib(home: &Path, csv: &Path, more: &[&str]) -> Result<f64> {
    let out = home.join("sealed");
    let mut seal = command(&program("duckblind"), home);
    seal.arg("seal")
        .arg(csv)
        .args(["--table", "lineitem", "--quiet", "--out"]);
    let mut child = seal.arg(&out).args(more).spawn()?;
    let mut peak = 0;
    let status = loop {
        // The highest ever so far; what is missed is the growth of the last moment.
        peak = peak.max(peak_kib(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        sleep(Duration::from_millis(5));
    };
    ensure!(status.success() && peak > 0, "duckblind seal: {status}");
    std::fs::remove_dir_all(&out)?;
    Ok(peak as f64 / 1024.0)
}
