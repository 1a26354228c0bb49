//! The command line: what it is called, and what it ends with.

mod attest;
mod column_types;
mod failure;
mod hosts;
mod keys;
mod meter;
mod one_table;
mod paths;
mod query_args;
mod receipt;
mod run;
mod run_args;
mod seal;
mod sql;
mod stop;
mod table;
mod table_args;
mod topics;
mod trust;
mod ui;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use duckblind_protocol::coded::Exit;

use failure::Failure;
use ui::Ui;

const EXAMPLES: &str = "\
Examples:
  duckblind keys new orders
  duckblind seal orders.csv --table orders --out sealed/orders
  duckblind run 'select count(*) from orders' --table orders=sealed/orders
  duckblind sql 'select count(*) from orders' --table orders=sealed/orders

More help: duckblind help exit-codes | environment | keys | pyarrow | trust";

/// Confidential SQL on machines you do not trust.
///
/// A sealed table is queried by DuckDB inside an attested enclave; the host relays bytes that it
/// cannot read. Every enclave is appraised here before anything is sealed to it.
#[derive(Debug, Parser)]
#[command(
    name = "duckblind",
    version,
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// Whom to trust [default: ~/.config/duckblind/trust.toml]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DUCKBLIND_TRUST",
        hide_env_values = true
    )]
    trust: Option<PathBuf>,
    /// Results and errors as JSON
    #[arg(long, global = true)]
    json: bool,
    /// No progress and no notes on stderr; results, warnings and errors stay
    #[arg(long, short, global = true)]
    quiet: bool,
    /// How log lines look (what is logged: DUCKBLIND_LOG_FILTER)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "DUCKBLIND_LOG",
        hide = true
    )]
    log: LogForm,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogForm {
    Text,
    Json,
}

/// What a closed connection gets to tell its host.
const LEAVE: std::time::Duration = std::time::Duration::from_millis(5);

#[derive(Debug, Subcommand)]
enum Command {
    /// Seal CSV, JSON lines or Parquet files into an encrypted table
    Seal(seal::SealArgs),
    /// Run one SELECT over sealed tables inside an attested enclave
    Run(Box<run_args::RunArgs>),
    /// Run one SELECT over your sealed tables on this machine
    Sql(Box<sql::SqlArgs>),
    /// List the hosts that the verifier knows
    Hosts(hosts::HostsArgs),
    /// Appraise an enclave, or look at its evidence
    #[command(subcommand)]
    Attest(attest::AttestCommand),
    /// Check what was kept of a job
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Append to, compact, check and show sealed tables
    #[command(subcommand)]
    Table(table::TableCommand),
    /// Make, list, rotate and export keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make, show, check and change the trust file
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Explain a command or a topic: exit-codes, environment, keys, pyarrow, trust
    Help(topics::HelpArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    logging(cli.common.log);
    let ui = Ui::new(cli.common.json, cli.common.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(&ui, Err(Failure::internal(&error))),
    };
    let result = runtime.block_on(dispatch(&ui, cli));
    // Connections close in the background: given a moment to say so, no host keeps their places
    // until it notices the silence.
    runtime.block_on(async { tokio::time::sleep(LEAVE).await });
    // A blocked write of a background task must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    end(&ui, result)
}

async fn dispatch(ui: &Ui, cli: Cli) -> Result<(), Failure> {
    let trust = cli.common.trust.as_deref();
    match cli.command {
        Command::Seal(args) => seal::seal(ui, args),
        Command::Run(args) => run::run(ui, trust, *args).await,
        Command::Sql(args) => sql::sql(ui, *args).await,
        Command::Hosts(args) => hosts::hosts(ui, trust, args).await,
        Command::Attest(command) => attest::attest(ui, trust, command).await,
        Command::Receipt(command) => receipt::receipt(ui, trust, command),
        Command::Table(command) => table::table(ui, command),
        Command::Keys(command) => keys::keys(ui, command),
        Command::Trust(command) => trust::trust(ui, trust, command),
        Command::Help(args) => topics::help(ui, &args),
    }
}

fn end(ui: &Ui, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(Exit::Ok.code()),
        Err(failure) => {
            if !failure.is_quiet() {
                ui.failure(&failure);
            }
            ExitCode::from(failure.exit().code())
        }
    }
}

/// Help and version go to stdout, wrong usage to stderr, as JSON if that was asked for.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    // Help that nobody asked for by name: a command without its subcommand.
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json;
    if error.use_stderr() && !is_help {
        return end(&Ui::new(json, false), Err(usage::failure(error)));
    }
    // Fails only if the stream is closed: then nobody reads it.
    let _ = error.print();
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    };
    ExitCode::from(exit.code())
}

fn logging(form: LogForm) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("DUCKBLIND_LOG_FILTER")
        .unwrap_or_else(|_| EnvFilter::new("error,rustls_platform_verifier=off"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Fails only if a subscriber is set already, in a process that embeds this function.
    let _ = match form {
        LogForm::Text => builder.with_ansi(false).try_init(),
        LogForm::Json => builder.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
