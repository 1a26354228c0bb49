//! The sealed result stream, against raw bytes over the same QUIC set-up between two processes, in turn.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use duckblind::Session;
use duckblind::client::JobRequest;
use rustix::param::clock_ticks_per_second;

use super::raw_quic::RawQuic;
use super::report::{Measured, Report, in_turn, median};
use super::{Effort, MEMORY, THREADS, workspace};
use crate::client;
use crate::options::Options;
use crate::process::cpu_ticks;
use crate::sealed::{LocalTable, engine};
use crate::stack::Stack;
use crate::tpch;

/// Least bytes of the measured stream.
const LEAST: u64 = 1 << 30;

/// All columns of fixed width, twice over: much Arrow for little scanning, since the relay is what is measured.
const SQL: &str = "select l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, \
                   l_tax, l_shipdate, l_commitdate, l_receiptdate from lineitem, (values (1), (2)) as twice(n)";

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    // Below scale 1 the stream would be too short to say anything.
    let tables = tpch::tables(effort.scale.max(1.0))?;
    let input = tables
        .into_iter()
        .find(|table| table.name == "lineitem")
        .context("lineitem")?;
    let stack = Stack::start(
        Options::default()
            .limit("result_bytes", 8 << 30)
            .limit("memory_bytes", 4 << 30),
    );
    stack.new_key("lineitem");
    stack.seal("lineitem", &[&input.file, &input.file]);
    let runtime = client::runtime();
    let request = client::request(&stack, SQL, &["lineitem"])?;
    let session = runtime.block_on(client::connect(&stack, false))?;
    let raw = runtime.block_on(RawQuic::start())?;

    // Once for nothing: the files are in the page cache then, and both connections have found their pace.
    let (bytes, _) = runtime.block_on(stream(&session, &request))?;
    ensure!(bytes >= LEAST, "the stream has only {bytes} bytes");
    runtime.block_on(raw.pull(bytes))?;
    let (mut our_cost, mut their_cost) = (Cost::default(), Cost::default());
    let (host, sender, here) = (stack.host.pid(), raw.sender(), std::process::id());
    let (ours, theirs) = in_turn(
        effort.alternations().max(5),
        || {
            let before = Cost::now(host, here)?;
            let (bytes, seconds) = runtime.block_on(stream(&session, &request))?;
            our_cost.add(&before, &Cost::now(host, here)?, bytes);
            Ok(mib(bytes) / seconds)
        },
        || {
            let before = Cost::now(sender, here)?;
            let time = runtime.block_on(raw.pull(bytes))?;
            their_cost.add(&before, &Cost::now(sender, here)?, bytes);
            Ok(mib(bytes) / time.as_secs_f64())
        },
    )?;
    drop((session, raw, stack));

    let scan = scan(&input.file, bytes)?;
    // What does not depend on how many processors the processes share: what each end computes.
    for (name, ours, theirs) in [
        ("host-cpu-s-per-gib", our_cost.sends, their_cost.sends),
        ("client-cpu-s-per-gib", our_cost.takes, their_cost.takes),
    ] {
        let cost = Measured::value("relay", name, ours / our_cost.gib, "s/GiB");
        report.add(cost.against(theirs / their_cost.gib));
    }
    report.add(Measured::value("relay", "scan-mib-per-second", scan, "MiB/s").higher());
    report.add(Measured::value("relay", "raw-mib-per-second", theirs, "MiB/s").higher());
    report.add(
        Measured::value("relay", "mib-per-second", ours, "MiB/s")
            .higher()
            .against(theirs),
    );
    report.add(
        Measured::ratio("relay", "ratio", ours / theirs)
            .higher()
            .target(0.7),
    );
    Ok(())
}

/// Processor seconds of the process that sends over QUIC and of this one, which takes, and for how much.
#[derive(Default)]
struct Cost {
    sends: f64,
    takes: f64,
    gib: f64,
}

impl Cost {
    fn now(sender: u32, taker: u32) -> Result<Self> {
        Ok(Self {
            sends: seconds(sender)?,
            takes: seconds(taker)?,
            gib: 0.0,
        })
    }

    fn add(&mut self, before: &Self, after: &Self, bytes: u64) {
        self.sends += after.sends - before.sends;
        self.takes += after.takes - before.takes;
        self.gib += mib(bytes) / 1024.0;
    }
}

/// Processor seconds of a process that is there.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn seconds(pid: u32) -> Result<f64> {
    let ticks = cpu_ticks(pid);
    ensure!(ticks > 0, "no processor time of process {pid}");
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// One job's stream: bytes of Arrow, and seconds from `accepted` to the verified receipt.
async fn stream(session: &Session, request: &JobRequest) -> Result<(u64, f64)> {
    let mut job = session.run(request).await?;
    while job.next().await.is_some() {}
    let finished = job.finish().await.map_err(Box::new)?;
    Ok((finished.bytes, finished.elapsed.as_secs_f64()))
}

/// The same query in this process: what the stream cannot be faster than.
fn scan(file: &std::path::Path, bytes: u64) -> Result<f64> {
    let work = workspace()?;
    let mut engine = engine(THREADS, MEMORY)?;
    LocalTable::seal(
        "lineitem",
        vec![file.to_owned(), file.to_owned()],
        &work.path().join("lineitem"),
    )?
    .add_to(&mut engine)?;
    let mut rates = Vec::new();
    for _ in 0..3 {
        let begin = Instant::now();
        let mut rows = engine.query(SQL)?;
        while rows.next_batch()?.is_some() {}
        rates.push(mib(bytes) / begin.elapsed().as_secs_f64());
    }
    Ok(median(&rates))
}

#[expect(clippy::cast_precision_loss, reason = "a few GiB")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
