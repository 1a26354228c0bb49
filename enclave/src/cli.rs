//! The command line of `duckblind-enclave`.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use duckblind_protocol::coded::{Coded as _, render};

use crate::config::{self, Config};
use crate::error::EnclaveError;
use crate::logging::{self, LogFormat};
use crate::supervisor;
use crate::supervisor::process::ROLE;

/// Runs jobs on sealed tables, out of sight of the machine it runs on.
#[derive(Parser)]
#[command(name = "duckblind-enclave", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an enclave until SIGTERM or Ctrl-C; running jobs may finish within drain_ms.
    Run {
        /// Configuration, TOML.
        #[arg(long, value_name = "FILE", env = "DUCKBLIND_ENCLAVE_CONFIG")]
        config: PathBuf,
        /// Write {"listen", "instance"} to this file when up.
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
        /// How logs look.
        #[arg(long, value_enum, default_value_t)]
        log: LogFormat,
    },
    /// Test or show a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether a configuration is sound.
    Check {
        /// Configuration, TOML.
        #[arg(long, value_name = "FILE", env = "DUCKBLIND_ENCLAVE_CONFIG")]
        config: PathBuf,
    },
    /// Print every value in force.
    Show {
        /// Configuration, TOML.
        #[arg(long, value_name = "FILE", env = "DUCKBLIND_ENCLAVE_CONFIG")]
        config: PathBuf,
        /// Say of each value where it comes from.
        #[arg(long)]
        origin: bool,
    },
}

/// What the binary does.
pub fn main() -> ExitCode {
    // A query process raises its walls before it does anything else.
    if std::env::args_os().nth(1) == Some(OsString::from(ROLE)) {
        return match crate::query::main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    match command(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &EnclaveError) -> ExitCode {
    let _ = std::io::stderr().write_all(render(error).as_bytes());
    ExitCode::from(error.exit().code())
}

fn command(cli: Cli) -> Result<(), EnclaveError> {
    match cli.command {
        Command::Run {
            config,
            ready_file,
            log,
        } => {
            let config = Config::load(&config)?;
            logging::init(log);
            supervisor::run(&config, ready_file.as_deref())
        }
        Command::Config(ConfigCommand::Check { config }) => {
            Config::load(&config)?;
            say("the configuration is sound\n")
        }
        Command::Config(ConfigCommand::Show { config, origin }) => {
            say(&config::show(&config, origin)?)
        }
    }
}

fn say(text: &str) -> Result<(), EnclaveError> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
