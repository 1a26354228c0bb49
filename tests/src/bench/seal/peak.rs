//! The peak memory of `duckblind seal` over a CSV file of hundreds of megabytes, as it comes and sorted, and over one of
//! thousands of columns.

use std::fs::File;
use std::io::{BufWriter, Write as _};
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
/// Columns and rows of the wide table: some 250 MB.
const WIDE: usize = 3000;
const WIDE_ROWS: usize = 6500;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let work = workspace()?;
    let csv = work.path().join("lineitem.csv");
    let tables = tpch::tables(effort.scale)?;
    let lineitem = tables
        .iter()
        .find(|table| table.name == "lineitem")
        .context("lineitem")?;
    Plain::open(THREADS, MEMORY)?.write_csv(&lineitem.file, &csv)?;
    let wide = work.path().join("wide.csv");
    write_wide(&wide)?;
    for table in ["lineitem", "wide"] {
        let mut new_key = command(&program("duckblind"), work.path());
        new_key.args(["keys", "new", table]);
        let made = run(new_key, b"");
        ensure!(made.code == 0, "no key: {}", made.stderr);
    }
    let mut worst: f64 = 0.0;
    for (name, table, csv, more) in [
        ("csv-peak-mib", "lineitem", &csv, &[][..]),
        (
            "sorted-peak-mib",
            "lineitem",
            &csv,
            &["--sort-by", "l_shipdate", "--allow-rollback"],
        ),
        ("wide-peak-mib", "wide", &wide, &[]),
    ] {
        let peak = peak_mib(work.path(), table, csv, more)?;
        report.add(Measured::value("seal", name, peak, "MiB"));
        worst = worst.max(peak);
    }
    report.add(Measured::value("seal", "peak-mib", worst, "MiB").target(TARGET));
    Ok(())
}

/// Numbers that no dictionary shortens, in thousands of columns.
fn write_wide(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let names: Vec<_> = (0..WIDE).map(|column| format!("c{column}")).collect();
    writeln!(file, "{}", names.join(","))?;
    let mut number = 1_u64;
    for _ in 0..WIDE_ROWS {
        for column in 0..WIDE {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let end = if column + 1 == WIDE { '\n' } else { ',' };
            write!(file, "{}{end}", number >> 24)?;
        }
    }
    Ok(file.flush()?)
}

fn peak_mib(home: &Path, table: &str, csv: &Path, more: &[&str]) -> Result<f64> {
    let out = home.join("sealed");
    let mut seal = command(&program("duckblind"), home);
    seal.arg("seal")
        .arg(csv)
        .args(["--table", table, "--quiet", "--out"]);
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
