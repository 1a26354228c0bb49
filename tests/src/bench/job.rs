//! How long one job takes: `select 1`, every program its own process, from the call to the verified receipt.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use duckblind::Session;
use duckblind::client::JobRequest;

use super::Effort;
use super::pool::Pool;
use super::report::{Better, Measured, Report, median};
use crate::client;
use crate::options::Options;
use crate::stack::Stack;

const SQL: &str = "select 1 as one";

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let few = if effort.quick { 20 } else { 100 };
    let runtime = client::runtime();
    let stack = Stack::start(Options::default());
    let mut pool = Pool::of(stack.dir());
    pool.full()?;
    let request = client::request(&stack, SQL, &[])?;
    let session = runtime.block_on(client::connect(&stack, false))?;

    let warm = series(200, &mut pool, || runtime.block_on(job(&session, &request)))?;
    report.add(Measured::value("job", "warm-p50-ms", median(&warm), "ms").target(8.0));
    report.add(Measured::value(
        "job",
        "warm-p95-ms",
        percentile(&warm, 95),
        "ms",
    ));

    let connect = series(few, &mut pool, || {
        runtime.block_on(async {
            session.connection().await?.close(0u32.into(), b"");
            job(&session, &request).await
        })
    })?;
    report.add(Measured::value(
        "job",
        "connect-p50-ms",
        median(&connect),
        "ms",
    ));

    for (name, fresh) in [("first-p50-ms", false), ("fresh-p50-ms", true)] {
        let times = series(few, &mut pool, || {
            runtime.block_on(async {
                let session = client::connect(&stack, fresh).await?;
                job(&session, &request).await
            })
        })?;
        report.add(Measured::value("job", name, median(&times), "ms"));
    }

    let cli = series(few, &mut pool, || {
        let ran = stack.query(SQL, &[], &["--format", "csv", "--quiet"]);
        ensure!(ran.code == 0, "{}", ran.stderr);
        Ok(())
    })?;
    report.add(Measured::value("job", "cli-p50-ms", median(&cli), "ms"));

    let (begin, mut jobs) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(5) {
        runtime.block_on(job(&session, &request))?;
        jobs += 1;
    }
    let rate = f64::from(jobs) / begin.elapsed().as_secs_f64();
    report.add(Measured {
        better: Better::Higher,
        ..Measured::value("job", "sustained-per-second", rate, "1/s")
    });
    drop(session);
    drop(stack);

    // A node without standbys: every job waits for its process.
    let stack = Stack::start(Options::default().limit("standbys", 0));
    let session = runtime.block_on(client::connect(&stack, false))?;
    let cold = timed(few, || runtime.block_on(job(&session, &request)))?;
    report.add(Measured::value("job", "cold-p50-ms", median(&cold), "ms"));
    Ok(())
}

async fn job(session: &Session, request: &JobRequest) -> Result<()> {
    let job = session.run(request).await?;
    let finished = job.finish().await.map_err(Box::new)?;
    ensure!(finished.rows == 1, "{} rows", finished.rows);
    Ok(())
}

/// Times of `count` jobs, each begun with a full pool.
fn series(count: usize, pool: &mut Pool, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        pool.mark()?;
        times.extend(timed(1, &mut run)?);
        pool.full()?;
    }
    Ok(times)
}

fn timed(count: usize, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        run()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * percent / 100]
}
