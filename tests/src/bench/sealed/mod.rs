//! Queries over sealed tables, against the same Parquet in plaintext and against peers: the 22 TPC-H queries, the
//! same rows, codec and row groups on both sides, both through a view, no file cache, results fetched, in turn.

mod decrypt;
mod memory;
mod peer;
mod race;
mod tables;
mod variants;

use anyhow::Result;
use duckblind_lake::seal::SealOptions;

pub use memory::scan;

use self::peer::Peer;
use self::race::{Judge, race};
use self::tables::{Opened, in_the_clear, ours};
use super::report::{Measured, Report};
use super::{Effort, MEMORY, THREADS, workspace};
use crate::plain::Plain;
use crate::tpch::{self, QUERIES, Table};

/// What DuckDB pays for its own, weaker encryption is 1.02 to 1.07.
const GEOMEAN: f64 = 1.05;
/// The worst of the 22 queries.
const WORST: f64 = 1.12;
/// How many times the time of decrypting with pyarrow first.
const PYARROW: f64 = 3.0;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let tables = tpch::tables(effort.scale)?;
    let mut reference = Plain::open(THREADS, MEMORY)?;
    for table in &tables {
        reference.add_table(table.name, std::slice::from_ref(&table.file))?;
    }
    let judge = Judge::ask(&mut reference)?;
    let uniform = uniform(&tables, &judge, effort, report)?;
    variants::measure(&tables, &judge, effort, uniform, report)
}

/// As sealed by default, and what pyarrow makes of the same files.
fn uniform(tables: &[Table], judge: &Judge, effort: Effort, report: &mut Report) -> Result<f64> {
    let work = workspace()?;
    let sealed: Vec<Opened> = tables
        .iter()
        .map(|table| Opened::seal(table, &SealOptions::default(), work.path()))
        .collect::<Result<_>>()?;
    let mut plain = in_the_clear(tables, work.path())?;
    let mut ours = ours(&sealed)?;
    // By themselves: a third one's process would still be tidying up while the next of them runs.
    let times = race(&mut [&mut plain, &mut ours], judge, effort)?;
    let (plain_ms, ours_ms) = (times.medians(0), times.medians(1));
    for (query, (ours, plain)) in QUERIES.iter().zip(ours_ms.iter().zip(&plain_ms)) {
        let name = format!("q{:02}-ms", query.number);
        report.add(Measured::value("sealed", &name, *ours, "ms").against(*plain));
    }
    let mean = times.mean_ratio(1, 0);
    let worst = times.ratios(1, 0).into_iter().fold(0.0, f64::max);
    report.add(Measured::ratio("sealed", "geomean", mean).target(GEOMEAN));
    report.add(Measured::ratio("sealed", "worst", worst).target(WORST));
    let mut pyarrow = Peer::pyarrow(&sealed, work.path())?;
    let faster = race(&mut [&mut ours, &mut pyarrow], judge, effort)?.mean_ratio(1, 0);
    report.add(
        Measured::ratio("sealed", "vs-pyarrow", faster)
            .higher()
            .target(PYARROW),
    );
    decrypt::measure(&sealed, effort, report)?;
    memory::measure(&sealed, work.path(), report)?;
    Ok(mean)
}
