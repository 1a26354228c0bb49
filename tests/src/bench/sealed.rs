//! Scanning sealed tables, over scanning the same Parquet in plaintext: 22 TPC-H queries, one process, in turn.

use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use duckblind_engine::Engine;
use duckblind_lake::seal::write_unencrypted;

use super::report::{Measured, Report, geometric_mean, median};
use super::{Effort, MEMORY, THREADS, parquet_files, workspace};
use crate::plain::Plain;
use crate::rows::Answer;
use crate::sealed::{LocalTable, engine};
use crate::tpch::{self, QUERIES};

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let work = workspace()?;
    let plain = Plain::open(THREADS, MEMORY)?;
    let mut sealed = engine(THREADS, MEMORY)?;
    for table in tpch::tables(effort.scale)? {
        // Both sides by the same writer: codec, pages and row groups are the same.
        let clear = work.path().join(format!("{}-clear", table.name));
        write_unencrypted(vec![table.file.clone()], clear.clone(), &mut |_| {})?;
        plain.add_table(table.name, &parquet_files(&clear)?)?;
        let dir = work.path().join(format!("{}-sealed", table.name));
        LocalTable::seal(table.name, vec![table.file], &dir)?.add_to(&mut sealed)?;
    }
    let mut ratios = Vec::new();
    for query in &QUERIES {
        let what = format!("query {}", query.number);
        let (ours, theirs) = (rows(&sealed, query.sql)?, plain.stream(query.sql)?);
        Answer::from_batches(&ours)?
            .must_equal(&Answer::from_batches(&theirs)?, query.order_by)
            .context(what)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..effort.alternations() {
            let begin = Instant::now();
            plain.stream(query.sql)?;
            theirs.push(begin.elapsed().as_secs_f64() * 1e3);
            let begin = Instant::now();
            rows(&sealed, query.sql)?;
            ours.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        let (ours, theirs) = (median(&ours), median(&theirs));
        ratios.push(ours / theirs);
        report.add(
            Measured::value("sealed", &format!("q{:02}-ms", query.number), ours, "ms")
                .against(theirs),
        );
    }
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    report.add(Measured::ratio("sealed", "geomean", geometric_mean(&ratios)).target(1.15));
    report.add(Measured::ratio("sealed", "worst", worst));
    Ok(())
}

/// Runs a query and fetches all of it.
pub(super) fn rows(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>> {
    let mut rows = engine.query(sql)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}
