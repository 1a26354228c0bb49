//! TPC-H tables at a scale, as plaintext Parquet (zstd, row groups of 122,880 rows), made once per machine.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};
use arrow::record_batch::RecordBatchReader;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

use crate::cache;

/// Rows of one row group, here and in sealed tables.
pub const ROW_GROUP_ROWS: usize = 122_880;

/// Rows of one generated batch.
const BATCH_ROWS: usize = 8_192;

/// The eight tables.
pub const TABLES: [&str; 8] = [
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
];

/// One table on disk.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// The plaintext Parquet file.
    pub file: PathBuf,
}

/// All eight tables at `scale`, generated at first use.
pub fn tables(scale: f64) -> Result<Vec<Table>> {
    let dir = cache::folder(&format!("tpch/sf{scale}-v1"))?;
    TABLES
        .iter()
        .map(|&name| {
            let file = dir.join(format!("{name}.parquet"));
            if !file.exists() {
                // Written beside and renamed: a run that was cut leaves no half table, two at once do no harm.
                let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
                write(name, scale, &temporary)
                    .with_context(|| format!("cannot generate TPC-H table {name}"))?;
                fs::rename(&temporary, &file)?;
            }
            Ok(Table { name, file })
        })
        .collect()
}

/// What both plaintext and sealed files are written with.
pub fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build()
}

/// A reader that generates table `name`.
pub(crate) fn reader(name: &str, scale: f64) -> Box<dyn RecordBatchReader> {
    macro_rules! of {
        ($arrow:ident, $generator:ident) => {
            Box::new($arrow::new($generator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS))
        };
    }
    match name {
        "customer" => of!(CustomerArrow, CustomerGenerator),
        "lineitem" => of!(LineItemArrow, LineItemGenerator),
        "nation" => of!(NationArrow, NationGenerator),
        "orders" => of!(OrderArrow, OrderGenerator),
        "part" => of!(PartArrow, PartGenerator),
        "partsupp" => of!(PartSuppArrow, PartSuppGenerator),
        "region" => of!(RegionArrow, RegionGenerator),
        "supplier" => of!(SupplierArrow, SupplierGenerator),
        other => unreachable!("no TPC-H table {other}"),
    }
}

fn write(name: &str, scale: f64, file: &std::path::Path) -> Result<()> {
    let reader = reader(name, scale);
    let schema = reader.schema();
    let mut writer = ArrowWriter::try_new(File::create(file)?, schema, Some(writer_properties()))?;
    for batch in reader {
        writer.write(&batch?)?;
    }
    writer.into_inner()?.sync_all()?;
    Ok(())
}
