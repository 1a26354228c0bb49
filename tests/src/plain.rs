//! Plaintext DuckDB: the same version, in this process, over the same data unencrypted. What it answers is
//! what a sealed table has to answer.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use duckdb::Connection;

use crate::rows::Answer;

/// An in-memory DuckDB with views over Parquet files.
pub struct Plain {
    connection: Connection,
}

impl Plain {
    /// A DuckDB of `threads` threads and `memory_bytes`, its file cache off.
    pub fn open(threads: u32, memory_bytes: u64) -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(&format!(
            "set threads = {threads};
             set memory_limit = '{memory_bytes}B';
             set preserve_insertion_order = false;
             set enable_external_file_cache = false;"
        ))?;
        Ok(Self { connection })
    }

    /// Makes view `name` over `files`.
    pub fn add_table(&self, name: &str, files: &[PathBuf]) -> Result<()> {
        let list = files
            .iter()
            .map(|file| Ok(format!("'{}'", quoted(file)?)))
            .collect::<Result<Vec<_>>>()?
            .join(", ");
        self.connection.execute_batch(&format!(
            "create view \"{name}\" as select * from read_parquet([{list}])"
        ))?;
        Ok(())
    }

    /// Writes the rows of a Parquet file as CSV with a header line.
    pub fn write_csv(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (quoted(from)?, quoted(to)?);
        self.connection.execute_batch(&format!(
            "copy (from read_parquet('{from}')) to '{to}' (format csv, header)"
        ))?;
        Ok(())
    }

    /// Runs one query and fetches the whole result.
    pub fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut statement = self.connection.prepare(sql)?;
        Ok(statement.query_arrow([])?.collect())
    }

    /// Runs one query and fetches its result as it is computed, as the engine of the product does.
    pub fn stream(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut statement = self.connection.prepare(sql)?;
        Ok(statement.stream_arrow([])?.collect::<Result<Vec<_>, _>>()?)
    }

    /// Runs one query and returns its typed rows.
    pub fn answer(&self, sql: &str) -> Result<Answer> {
        Answer::from_batches(&self.batches(sql)?)
    }
}

fn quoted(file: &Path) -> Result<String> {
    Ok(file
        .to_str()
        .context("path is not UTF-8")?
        .replace('\'', "''"))
}
