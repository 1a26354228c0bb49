//! `duckblind sql`: a query over sealed tables on this machine, for their owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use duckblind_engine::{Engine, EngineError, Settings, Spill};
use duckblind_protocol::job_code::{JobCode, JobError};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::failure::Failure;
use super::query_args::{OutputArgs, QueryArgs};
use super::run::milliseconds;
use super::run_args::{bytes, milliseconds as time};
use super::stop::Stop;
use super::table_args::{self, TableArgs};
use super::ui::{self, Ui};
use crate::client::JobFailure;
use crate::error::RequesterError;
use crate::local::{self, PrivateDir};
use crate::output::{Output, Written};
use crate::table::SealedTable;

const EXAMPLES: &str = "\
Examples:
  duckblind sql 'select * from orders limit 10' --table orders=sealed/orders
  duckblind sql 'from orders' --table orders=sealed/orders --snapshot 3 -o old.parquet
  duckblind sql -f report.sql --table orders=sealed/orders --format csv";

/// Run one SELECT over your sealed tables on this machine
///
/// The engine and its walls are those of the enclave, the keys are yours and stay here: for checking
/// and exploring what you sealed. Nothing is decrypted to disk but the result; what a large query
/// spills is encrypted.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SqlArgs {
    #[command(flatten)]
    query: QueryArgs,
    #[command(flatten)]
    tables: TableArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Stop the query after this time, such as 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<u32>,
    /// Memory of the query, such as 2GiB [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<u64>,
    /// Most that may be spilled to encrypted files in the directory for temporary files
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "16GiB")]
    max_spill: u64,
    /// Threads of the query [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
}

pub(super) async fn sql(ui: &Ui, args: SqlArgs) -> Result<(), Failure> {
    let format = args.output.format(ui.is_json())?;
    args.check_limits()?;
    if let Some(arg) = args.tables.tables.iter().find(|arg| arg.remote.is_some()) {
        return Err(Failure::usage(
            format!("--table {} names a place in an enclave's storage", arg.name),
            Some("`sql` reads the table here: write --table NAME=DIR"),
        ));
    }
    let keys = args.tables.keys.provider()?;
    let tables = args
        .tables
        .open(ui, || Ok(args.tables.keys.owner()?.public()))?;
    let described = table_args::described(&tables);
    let unauthenticated = table_args::unauthenticated(ui, &tables);
    let text = args.query.text()?;
    if text.trim().is_empty() {
        return Err(Failure::usage("the query is empty", None));
    }
    // Before there is anything that must not stay.
    let stop = Stop::listen()?;
    let output = args.output.create(format).map_err(RequesterError::from)?;
    let spill = PrivateDir::new()?;

    let begun = Instant::now();
    let spinner = ui.spinner("reading");
    allow_many_files(&tables);
    let (engine, missing) = local::open(&args.settings(&spill), &tables, &text, &keys)?;
    spinner.suspend(|| table_args::missing(ui, missing.iter()));
    drop(keys);
    let query = Query {
        engine,
        text,
        output,
        spinner: spinner.clone(),
    };
    let done = query.run(stop, args.timeout).await;
    spinner.finish_and_clear();
    let (rows, written) = done.map_err(|end| {
        if end.rows_out && !end.failure.is_quiet() {
            ui.warning("output incomplete: the rows on stdout are not an answer");
        }
        end.failure
    })?;
    let value = json!({
        "schema": "duckblind/sql/v1",
        "rows": rows,
        "rows_hidden": written.rows_hidden,
        "output": args.output.path,
        "tables": described,
        "unauthenticated": unauthenticated,
        "query_ms": milliseconds(begun.elapsed()),
    });
    if ui.is_json() {
        ui.result_value(&value, args.output.path.is_some());
        return Ok(());
    }
    ui.hidden_rows(written.rows_hidden);
    ui.note(&format!(
        "{} in {}",
        ui::rows(rows),
        ui::duration(begun.elapsed())
    ));
    Ok(())
}

impl SqlArgs {
    /// What the engine would refuse as a mistake of its operator, who is the caller here.
    fn check_limits(&self) -> Result<(), Failure> {
        if let Some(threads) = self.threads
            && !(1..=ENGINE_THREADS).contains(&threads)
        {
            return Err(Failure::usage(
                format!("--threads {threads} is not from 1 to {ENGINE_THREADS}"),
                Some("leave it out for one per processor"),
            ));
        }
        if let Some(memory) = self.memory
            && memory < ENGINE_MEMORY
        {
            return Err(Failure::usage(
                format!("--memory is {memory} bytes: at least {ENGINE_MEMORY} (16MiB) are needed"),
                Some("leave it out for half of what is free"),
            ));
        }
        Ok(())
    }

    fn settings(&self, spill: &PrivateDir) -> Settings {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            threads: self
                .threads
                .unwrap_or_else(|| u32::try_from(processors).unwrap_or(1).min(MOST_THREADS)),
            memory_bytes: self.memory.unwrap_or_else(half_of_the_free_memory),
            spill: Spill::Encrypted {
                dir: spill.path().join("spill"),
                max_bytes: self.max_spill,
            },
        }
    }
}

/// More than this only helps if somebody asks for it.
const MOST_THREADS: u32 = 64;
/// The engine's own limits.
const ENGINE_THREADS: u32 = 256;
const ENGINE_MEMORY: u64 = 16 << 20;
/// Where the system does not say what is free.
const LEAST_MEMORY: u64 = 512 << 20;

fn half_of_the_free_memory() -> u64 {
    let free = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    free.map_or(LEAST_MEMORY, |bytes| (bytes / 2).max(LEAST_MEMORY))
}

/// `MemAvailable` in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Every file of a table stays open: as many as the system allows at all.
fn allow_many_files(tables: &[SealedTable]) {
    let files: usize = tables.iter().map(|t| t.manifest().files.len()).sum();
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = files as u64 + 256;
    if limit.current.is_some_and(|now| now < wanted) {
        limit.current = limit.maximum;
        // If not, opening a file says so.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// A query about to run.
struct Query {
    engine: Engine,
    text: String,
    output: Output,
    spinner: indicatif::ProgressBar,
}

/// A query that gave no answer.
struct End {
    failure: Failure,
    rows_out: bool,
}

/// Why a query was interrupted.
#[derive(Default)]
struct Asked {
    to_stop: AtomicBool,
    by_time: AtomicBool,
}

impl Query {
    /// Runs it beside whatever may stop it.
    async fn run(self, mut stop: Stop, timeout: Option<u32>) -> Result<(u64, Written), End> {
        let interrupt = self.engine.interrupt_handle();
        let asked = Arc::new(Asked::default());
        let heard = Arc::clone(&asked);
        let stopper = tokio::spawn(async move {
            let time_up = async {
                match timeout {
                    Some(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.wait() => {}
                () = time_up => heard.by_time.store(true, Ordering::Release),
            }
            heard.to_stop.store(true, Ordering::Release);
            interrupt.interrupt();
        });
        let done = tokio::task::spawn_blocking(move || self.fetch_all(&asked)).await;
        stopper.abort();
        done.unwrap_or_else(|error| {
            Err(End {
                failure: Failure::internal(&error),
                rows_out: false,
            })
        })
    }

    fn fetch_all(mut self, asked: &Asked) -> Result<(u64, Written), End> {
        match self.rows(asked) {
            Ok(rows) => match self.output.commit() {
                Ok(written) => Ok((rows, written)),
                Err(error) => Err(End {
                    failure: error.into(),
                    rows_out: false,
                }),
            },
            Err(failure) => Err(End {
                failure,
                rows_out: self.output.is_out(),
            }),
        }
    }

    fn rows(&mut self, asked: &Asked) -> Result<u64, Failure> {
        let failed = |error: EngineError| {
            let error = match error {
                EngineError::Interrupted if asked.by_time.load(Ordering::Acquire) => {
                    JobError::of(JobCode::TimeLimit)
                }
                other => other.to_job_error(),
            };
            JobFailure::failed(error, &self.text)
        };
        let mut answer = self.engine.query(&self.text).map_err(failed)?;
        self.output.schema(&answer.schema())?;
        let mut rows: u64 = 0;
        while let Some(batch) = answer.next_batch().map_err(failed)? {
            // An interrupt that came before the query began is one all the same.
            if asked.to_stop.load(Ordering::Acquire) {
                return Err(failed(EngineError::Interrupted).into());
            }
            rows = rows.saturating_add(batch.num_rows() as u64);
            self.spinner.set_message(ui::rows(rows));
            self.output.batch(&batch)?;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:  100 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        assert_eq!(available("MemTotal: 1 kB"), None);
        assert_eq!(available("MemAvailable: 99999999999999999999 kB"), None);
        assert!(half_of_the_free_memory() >= LEAST_MEMORY);
    }
}
