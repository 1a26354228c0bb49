//! `duckblind-bench`: measures, and holds what `scripts/demo` needs beside the product: data, queries, and the
//! comparison with plaintext DuckDB.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use duckblind_tests::bench::report::Report;
use duckblind_tests::bench::{self, Effort, GROUPS};
use duckblind_tests::plain::Plain;
use duckblind_tests::stack::arrow_answer;
use duckblind_tests::{binaries, tpch};

/// Measure duckblind, and compare its answers with plaintext DuckDB
#[derive(Parser)]
#[command(name = "duckblind-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure; without --only all groups: job, sealed, seal, relay, memory
    Run {
        /// Fewer repetitions
        #[arg(long)]
        quick: bool,
        /// Only this group; may be given several times
        #[arg(long, value_name = "GROUP", value_parser = GROUPS)]
        only: Vec<String>,
        /// Also write the results as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// TPC-H scale of the tables that are read
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
    /// Make the TPC-H tables as plaintext Parquet and print their files
    TpchData {
        /// Scale: 1 is about 1 GB of raw data
        #[arg(long, default_value_t = 0.1)]
        scale: f64,
    },
    /// Print a TPC-H query
    TpchQuery {
        /// 1 to 22
        #[arg(value_parser = clap::value_parser!(u8).range(1..=22))]
        number: u8,
    },
    /// Compare an answer (Arrow) with what plaintext DuckDB answers to the same TPC-H query
    Compare {
        /// The TPC-H query, 1 to 22
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=22))]
        query: u8,
        /// Scale of the data
        #[arg(long)]
        scale: f64,
        /// The answer to check
        answer: PathBuf,
    },
    /// Search files for a text as it is, in hex and in base64; exit code 1 if it is there
    Search {
        /// What to look for
        #[arg(long, required = true)]
        text: Vec<String>,
        /// Files and folders
        #[arg(required = true)]
        places: Vec<PathBuf>,
    },
    /// Read tables as told on standard input and print the peak memory
    #[command(hide = true)]
    Scan,
    /// The sending side of the raw QUIC measurement
    #[command(hide = true)]
    RawServer,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Run {
            quick,
            only,
            json,
            scale,
        } => measure(Effort { quick, scale }, &only, json.as_deref()),
        Command::TpchData { scale } => {
            for table in tpch::tables(scale)? {
                println!("{} {}", table.name, table.file.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::TpchQuery { number } => {
            print!("{}", tpch::query(number).sql);
            Ok(ExitCode::SUCCESS)
        }
        Command::Compare {
            query,
            scale,
            answer,
        } => compare(query, scale, &answer),
        Command::Search { text, places } => search(&text, &places),
        Command::Scan => {
            bench::scan()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RawServer => {
            tokio::runtime::Runtime::new()?.block_on(bench::raw_quic::serve())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure(effort: Effort, only: &[String], json: Option<&Path>) -> Result<ExitCode> {
    let mut report = Report::default();
    let mut measured = Ok(());
    for group in GROUPS {
        if only.is_empty() || only.iter().any(|name| name == group) {
            eprintln!("{group}:");
            measured = bench::measure(group, effort, &mut report).context(group);
            if measured.is_err() {
                break;
            }
        }
    }
    binaries::clean_up();
    // What was measured before something went wrong is shown, too.
    println!("{}", report.table());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    measured?;
    Ok(ExitCode::SUCCESS)
}

fn compare(number: u8, scale: f64, answer: &Path) -> Result<ExitCode> {
    let plain = Plain::open(2, 4 << 30)?;
    for table in tpch::tables(scale)? {
        plain.add_table(table.name, &[table.file])?;
    }
    let query = tpch::query(number);
    let expected = plain.answer(query.sql)?;
    let sealed = arrow_answer(&std::fs::read(answer)?)?;
    sealed
        .must_equal(&expected, query.order_by)
        .context("the answers differ")?;
    println!(
        "equal: {} rows, {} columns, value by value",
        expected.rows.len(),
        expected.columns.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn search(texts: &[String], places: &[PathBuf]) -> Result<ExitCode> {
    let mut needles = duckblind_tests::memory::Needles::default();
    for text in texts {
        needles.add(text, text.as_bytes());
    }
    let (mut files, mut bytes, mut found) = (0, 0, false);
    let mut open: Vec<PathBuf> = places.to_vec();
    while let Some(place) = open.pop() {
        if place.is_dir() {
            for entry in std::fs::read_dir(&place)? {
                open.push(entry?.path());
            }
        } else if place.is_file() {
            let content = std::fs::read(&place)?;
            files += 1;
            bytes += content.len();
            for name in needles.found_in(&content) {
                println!("{}: {name}", place.display());
                found = true;
            }
        }
    }
    println!("searched {bytes} bytes in {files} files");
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
