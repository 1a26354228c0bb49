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
use super::race::{Contender, Fresh, Judge, mean_ratio, race};
use super::tables::{Opened, Pyarrow, clear_with_pyarrow, in_the_clear, ours};
use crate::plain::Plain;
use crate::tpch::{QUERIES, Table};

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
        let times = race(&mut [&mut plain, &mut ours], judge, effort.alternations())?;
        let mean = mean_ratio(&times[1], &times[0]);
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
        effort.alternations(),
    )?;
    let (mean, first) = (
        mean_ratio(&times[1], &times[0]),
        mean_ratio(&times[3], &times[2]),
    );
    report.add(Measured::ratio("sealed", "geomean-ctr", mean).target(uniform * VARIANT));
    report.add(Measured::ratio("sealed", "first-geomean-ctr", first));
    Ok(())
}

/// Files of the one kind that DuckDB and DataFusion read themselves: one key, no AAD prefix.
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
    let mut duckdb = Plain::open(THREADS, MEMORY)?;
    for table in &sealed {
        let files: Vec<PathBuf> = table.paths().map(Path::to_owned).collect();
        duckdb.add_encrypted_table(table.name(), &files, KEY)?;
    }
    let mut datafusion = Peer::datafusion(&sealed, work.path())?;
    // What DuckDB's own reader does not read is said, and the others race without it.
    let read = QUERIES
        .iter()
        .try_for_each(|query| duckdb.stream(query.sql).map(drop));
    let mut contenders: Vec<&mut dyn Contender> = vec![&mut plain, &mut ours, &mut datafusion];
    if let Err(error) = &read {
        eprintln!("  sealed/vs-duckdb-encrypted: DuckDB's own reader fails on the files: {error}");
    } else {
        contenders.push(&mut duckdb);
    }
    let times = race(&mut contenders, judge, effort.alternations())?;
    let [plain, ours, datafusion, duckdb @ ..] = times.as_slice() else {
        unreachable!("three contenders or four");
    };
    let mut ratio = |name: &str, a: &[f64], b: &[f64]| {
        report.add(Measured::ratio("sealed", name, mean_ratio(a, b)).higher());
    };
    ratio("vs-datafusion", datafusion, ours);
    if let [duckdb] = duckdb {
        ratio("vs-duckdb-encrypted", duckdb, ours);
        let cost = mean_ratio(duckdb, plain);
        report.add(Measured::ratio("sealed", "geomean-duckdb-encrypted", cost));
    }
    let mut cost = |name: &str, a: &[f64]| {
        report.add(Measured::ratio("sealed", name, mean_ratio(a, plain)));
    };
    cost("geomean-no-aad", ours);
    cost("geomean-datafusion", datafusion);
    Ok(())
}
