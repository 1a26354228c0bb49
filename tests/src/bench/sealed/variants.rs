//! The other variants of the format, each against the same bytes in plaintext, and the peers that read only some.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use duckblind_lake::manifest::Layout;
use duckblind_lake::seal::{Encryption, Rest, SealOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::report::{Measured, Report};
use super::super::{Effort, MEMORY, THREADS, workspace};
use super::peer::Peer;
use super::race::{Contender, Fresh, Judge, race};
use super::tables::{Opened, Pyarrow, clear_with_pyarrow, in_the_clear, ours};
use crate::plain::Plain;
use crate::tpch::Table;

/// How far a variant may be behind the default.
const VARIANT: f64 = 1.02;

/// AES-128: the newest DataFusion wheel with encryption reads no other.
const KEY: &[u8] = &[0x42; 16];

/// How a table is sealed.
type Way = fn(&Table) -> Result<SealOptions>;

pub(super) fn measure(
    tables: &[Table],
    judge: &Judge,
    effort: Effort,
    uniform: f64,
    report: &mut Report,
) -> Result<()> {
    let ways: [(&str, Way); 2] = [
        ("geomean-column-keys", column_keys),
        ("geomean-plaintext-footer", plaintext_footer),
    ];
    for (name, options) in ways {
        let work = workspace()?;
        let sealed: Vec<Opened> = tables
            .iter()
            .map(|table| Opened::seal(table, &options(table)?, work.path()))
            .collect::<Result<_>>()?;
        let mut plain = in_the_clear(tables, work.path())?;
        let mut ours = ours(&sealed)?;
        let times = race(&mut [&mut plain, &mut ours], judge, effort)?;
        let mean = times.mean_ratio(1, 0);
        report.add(Measured::ratio("sealed", name, mean).target(uniform * VARIANT));
    }
    let work = workspace()?;
    let clear = clear_with_pyarrow(tables, work.path())?;
    ctr(tables, &clear, judge, effort, uniform, report)?;
    peers(tables, &clear, judge, effort, report)
}

/// Every column under a key of its own.
fn column_keys(table: &Table) -> Result<SealOptions> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&table.file)?)?;
    let columns = file.schema().fields().iter();
    Ok(SealOptions {
        encryption: Encryption::Columns {
            columns: columns.map(|field| field.name().clone()).collect(),
            rest: Rest::TableKey,
        },
        ..SealOptions::default()
    })
}

fn plaintext_footer(_: &Table) -> Result<SealOptions> {
    Ok(SealOptions {
        layout: Layout {
            plaintext_footer: true,
            ..Layout::default()
        },
        ..SealOptions::default()
    })
}

fn plaintext(clear: &[(&'static str, PathBuf)]) -> Result<Plain> {
    let plain = Plain::open(THREADS, MEMORY)?;
    for (name, file) in clear {
        plain.add_table(name, std::slice::from_ref(file))?;
    }
    Ok(plain)
}

fn encrypt(tables: &[Table], algorithm: &'static str, work: &Path) -> Result<Vec<Opened>> {
    let how = Pyarrow {
        key: KEY,
        algorithm,
    };
    tables
        .iter()
        .map(|table| Opened::pyarrow(table, how, work))
        .collect()
}

/// Pages without tags: every first read of a chunk is checked against its digest, later ones are not. A job is a
/// process of its own, so that its reads are first ones.
fn ctr(
    tables: &[Table],
    clear: &[(&'static str, PathBuf)],
    judge: &Judge,
    effort: Effort,
    uniform: f64,
    report: &mut Report,
) -> Result<()> {
    let work = workspace()?;
    let sealed = encrypt(tables, "AES_GCM_CTR_V1", work.path())?;
    let (mut plain, mut warm) = (plaintext(clear)?, ours(&sealed)?);
    let mut fresh_plain = Fresh(|| plaintext(clear));
    let mut fresh = Fresh(|| ours(&sealed));
    let times = race(
        &mut [&mut plain, &mut warm, &mut fresh_plain, &mut fresh],
        judge,
        effort,
    )?;
    let (mean, first) = (times.mean_ratio(1, 0), times.mean_ratio(3, 2));
    report.add(Measured::ratio("sealed", "geomean-ctr", mean).target(uniform * VARIANT));
    report.add(Measured::ratio("sealed", "first-geomean-ctr", first));
    Ok(())
}

/// Files of the one kind that DataFusion reads: one key, no AAD prefix. DuckDB, which reads its own kind only, gets the
/// same rows in files of its own.
fn peers(
    tables: &[Table],
    clear: &[(&'static str, PathBuf)],
    judge: &Judge,
    effort: Effort,
    report: &mut Report,
) -> Result<()> {
    let work = workspace()?;
    let sealed = encrypt(tables, "AES_GCM_V1", work.path())?;
    let (mut plain, mut ours) = (plaintext(clear)?, ours(&sealed)?);
    let mut datafusion = Peer::datafusion(&sealed, work.path())?;
    let mut duckdb = Peer::duckdb(clear, KEY, work.path())?;
    let mut duckdb_clear = Peer::duckdb(clear, &[], work.path())?;
    let mut contenders: [&mut dyn Contender; 5] = [
        &mut plain,
        &mut ours,
        &mut datafusion,
        &mut duckdb,
        &mut duckdb_clear,
    ];
    let times = race(&mut contenders, judge, effort)?;
    for (name, peer) in [("vs-datafusion", 2), ("vs-duckdb-encrypted", 3)] {
        report.add(Measured::ratio("sealed", name, times.mean_ratio(peer, 1)).higher());
    }
    for (name, with, without) in [
        ("geomean-no-aad", 1, 0),
        ("geomean-datafusion", 2, 0),
        ("geomean-duckdb-encrypted", 3, 4),
    ] {
        report.add(Measured::ratio(
            "sealed",
            name,
            times.mean_ratio(with, without),
        ));
    }
    Ok(())
}
