//! Sealing, against writing the same Parquet unencrypted: same batches, codec and row groups, both synced.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use duckblind_lake::keys::{OwnerKey, TableKey};
use duckblind_lake::seal::{SealOptions, SealRequest, seal, write_unencrypted};

use super::super::report::{Measured, Report, in_turn};
use super::super::{Effort, workspace};
use crate::tpch;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let work = workspace()?;
    let (clear, sealed) = (work.path().join("clear"), work.path().join("sealed"));
    let tables = tpch::tables(effort.scale)?;
    let input = tables
        .into_iter()
        .find(|table| table.name == "lineitem")
        .context("lineitem")?;
    let (table_key, owner) = (TableKey::generate()?, OwnerKey::generate()?);
    let bytes = fs::metadata(&input.file)?.len() as f64 / f64::from(1 << 20);
    let rate = |begin: Instant| bytes / begin.elapsed().as_secs_f64();
    let (theirs, ours) = in_turn(
        effort.alternations(),
        || {
            let begin = Instant::now();
            write_unencrypted(vec![input.file.clone()], clear.clone(), &mut |_| {})?;
            let rate = rate(begin);
            empty(&clear)?;
            Ok(rate)
        },
        || {
            let begin = Instant::now();
            seal(SealRequest {
                inputs: vec![input.file.clone()],
                table: "lineitem".to_owned(),
                out_dir: sealed.clone(),
                kms: &table_key,
                owner: &owner,
                options: SealOptions::default(),
                progress: &mut |_| {},
            })?;
            let rate = rate(begin);
            empty(&sealed)?;
            Ok(rate)
        },
    )?;
    report.add(
        Measured::value("seal", "mib-per-second", ours, "MiB/s")
            .higher()
            .against(theirs),
    );
    report.add(
        Measured::ratio("seal", "ratio", ours / theirs)
            .higher()
            .target(0.9),
    );
    Ok(())
}

fn empty(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))
}
