//! What reading a sealed table needs beyond reading the same table in plaintext: peak memory of whole processes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use duckblind_lake::keys::DataKey;
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LocalFile, SealedFile};
use serde::{Deserialize, Serialize};

use super::super::report::{Measured, Report, median};
use super::super::{MEMORY, THREADS, parquet_files};
use super::race::rows;
use super::tables::Opened;
use crate::memory::peak_kib;
use crate::plain::Plain;
use crate::sealed::engine;
use crate::tpch::QUERIES;

/// Processes of either kind.
const RUNS: usize = 3;
/// In MiB: chunks being decrypted, and nothing that grows with the table.
const TARGET: f64 = 64.0;
/// Every column of the widest table.
const WIDE: &str = "select count(l_orderkey), max(l_partkey), max(l_suppkey), max(l_linenumber + 0), \
    sum(l_quantity), sum(l_extendedprice), sum(l_discount), sum(l_tax), max(l_returnflag || 'x'), \
    max(l_linestatus || 'x'), max(l_shipdate + 0), max(l_commitdate + 0), max(l_receiptdate + 0), \
    max(l_shipinstruct || 'x'), max(l_shipmode || 'x'), max(l_comment || 'x') from lineitem";

/// What a measured process is told, on its standard input.
#[derive(Serialize, Deserialize)]
struct Job {
    tables: BTreeMap<String, Vec<Stored>>,
    queries: Vec<String>,
}

/// One file; without a key it is in the clear.
#[derive(Serialize, Deserialize)]
struct Stored {
    path: PathBuf,
    #[serde(default)]
    key: String,
    #[serde(default)]
    aad: String,
}

/// The tables of `work` in the clear are `<name>-clear`.
pub(super) fn measure(sealed: &[Opened], work: &Path, report: &mut Report) -> Result<()> {
    let mut ours = BTreeMap::new();
    let mut plain = BTreeMap::new();
    for table in sealed {
        let (name, files) = table.for_peers();
        let files: Vec<Stored> = serde_json::from_value(files)?;
        let clear = parquet_files(&work.join(format!("{name}-clear")))?;
        let stored = |path| Stored {
            path,
            key: String::new(),
            aad: String::new(),
        };
        plain.insert(name.clone(), clear.into_iter().map(stored).collect());
        ours.insert(name, files);
    }
    let mut extra = f64::MIN;
    let all = QUERIES.iter().map(|query| query.sql.to_owned()).collect();
    for (what, queries) in [("scan", vec![WIDE.to_owned()]), ("queries", all)] {
        let mut job = |tables: &mut BTreeMap<String, Vec<Stored>>| {
            let job = Job {
                tables: std::mem::take(tables),
                queries: queries.clone(),
            };
            let peak = peak_mib(&job);
            *tables = job.tables;
            peak
        };
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            without.push(job(&mut plain)?);
            with.push(job(&mut ours)?);
        }
        let (with, without) = (median(&with), median(&without));
        let name = format!("{what}-peak-mib");
        report.add(Measured::value("sealed", &name, with, "MiB").against(without));
        extra = extra.max(with - without);
    }
    report.add(Measured::value("sealed", "scan-extra-mib", extra, "MiB").target(TARGET));
    Ok(())
}

fn peak_mib(job: &Job) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("scan")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("piped")?;
    serde_json::to_writer(&mut input, job)?;
    input.flush()?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "a scan failed");
    let kib: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(kib / 1024.0)
}

/// The measured process: does as its standard input says and prints its peak memory in KiB.
pub fn scan() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let job: Job = serde_json::from_str(&text)?;
    let in_the_clear = job
        .tables
        .values()
        .flatten()
        .all(|file| file.key.is_empty());
    if in_the_clear {
        let plain = Plain::open(THREADS, MEMORY)?;
        for (name, files) in job.tables {
            let paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
            plain.add_table(&name, &paths)?;
        }
        for query in &job.queries {
            plain.stream(query)?;
        }
    } else {
        let mut engine = engine(THREADS, MEMORY)?;
        for (name, files) in job.tables {
            let files = files.iter().map(open).collect::<Result<Vec<_>>>()?;
            engine.add_table(&name, files)?;
        }
        for query in &job.queries {
            rows(&engine, query)?;
        }
    }
    println!(
        "{}",
        peak_kib(std::process::id()).context("no peak memory")?
    );
    Ok(())
}

fn open(file: &Stored) -> Result<SealedFile> {
    let source = LocalFile::new(std::fs::File::open(&file.path)?)?;
    let key = DataKey::from_slice(&hex::decode(&file.key)?)?;
    let prefix = match file.aad.as_str() {
        "" => AadPrefix::None,
        aad => AadPrefix::Supplied(hex::decode(aad)?),
    };
    Ok(SealedFile::open(
        Arc::new(source),
        FileSpec::uniform(key, prefix),
    )?)
}
