//! The command line.

mod output;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use duckblind_protocol::ids::PublicKey;

use crate::config::Config;
use crate::ear_key::{self, PUBLIC_FILE, SECRET_FILE};
use crate::error::VerifierError;
use crate::logging::{self, LogFormat};
use crate::net::tls;
use crate::{serve, token};
use duckblind_attestation::ear;
pub use output::Output;

/// Appraises evidence of enclaves, signs what it finds, and keeps the registry of nodes.
#[derive(Debug, Parser)]
#[command(name = "duckblind-verifier", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Answers and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM.
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// How log lines look.
        #[arg(long, value_enum, default_value_t, env = "DUCKBLIND_LOG")]
        log: LogFormat,
        /// What is logged, such as `info` or `duckblind_verifier=debug`.
        #[arg(long, default_value = "info", env = "DUCKBLIND_LOG_FILTER")]
        log_filter: String,
        /// Write `{"http": URL}` here once the verifier is up; removed when it ends.
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// The key that signs results.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The operator's enrolment token.
    #[command(subcommand)]
    Token(TokenCommand),
    /// A certificate for HTTPS.
    #[command(subcommand)]
    Tls(TlsCommand),
    /// The configuration file.
    #[command(subcommand, name = "config")]
    Configuration(ConfigCommand),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "DUCKBLIND_VERIFIER_CONFIG")]
    config: PathBuf,
    /// Listen here instead of where the file says.
    #[arg(long, value_name = "ADDRESS", env = "DUCKBLIND_VERIFIER_LISTEN")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key: ear.key (mode 0600) and ear.pub, which trust files pin.
    New {
        /// The directory for both files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Show a public key, its id and the audience that evidence must name.
    Show {
        /// An ear.pub.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; hosts that have it may enrol.
    New {
        /// The token file (mode 0600).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum TlsCommand {
    /// Make a certificate under a CA of its own: cert.pem, key.pem (mode 0600) and ca.pem, which
    /// hosts and requesters name as their verifier's CA.
    New {
        /// The directory for the files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The DNS name or IP address under which the verifier is reached.
        #[arg(long, value_name = "HOST")]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Load the configuration and all that it names, and say what would be served.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// Runs the command that was given.
pub fn run(arguments: Arguments, output: &mut Output<'_>) -> Result<(), VerifierError> {
    match arguments.command {
        Command::Serve {
            config,
            log,
            log_filter,
            ready_file,
        } => {
            logging::start(log, &log_filter)?;
            let config = Config::load(&config.config, config.listen)?;
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| VerifierError::Runtime(error.to_string()))?
                .block_on(serve::run(config, ready_file.as_deref()))
        }
        Command::Keys(KeysCommand::New { out }) => {
            let public = ear_key::create(&out)?;
            output.line("secret key", &out.join(SECRET_FILE).display());
            output.line("public key", &out.join(PUBLIC_FILE).display());
            show_key(output, &public);
            Ok(())
        }
        Command::Keys(KeysCommand::Show { file }) => {
            show_key(output, &ear_key::read_public(&file)?);
            Ok(())
        }
        Command::Token(TokenCommand::New { out }) => {
            token::create(&out)?;
            output.line("token", &out.display());
            Ok(())
        }
        Command::Tls(TlsCommand::New { out, name }) => {
            tls::create(&out, &name)?;
            for file in ["cert.pem", "key.pem", "ca.pem"] {
                output.line(file, &out.join(file).display());
            }
            Ok(())
        }
        Command::Configuration(ConfigCommand::Check { config }) => {
            let config = Config::load(&config.config, config.listen)?;
            let listen = &config.listen;
            output.line(
                "listen",
                &format!("{}://{}", listen.scheme(), listen.address()),
            );
            output.line("state", &config.state.display());
            output.list(
                "policies",
                config
                    .policies
                    .iter()
                    .map(|policy| format!("{} {}", policy.id(), policy.name())),
            );
            output.line("enrolment", &config.enrolment.describe());
            show_key(output, config.ear_key.public());
            Ok(())
        }
    }
}

fn show_key(output: &mut Output<'_>, public: &PublicKey) {
    output.line("ear signer", &public);
    output.line("key id", &ear::kid(public));
    output.line("audience", &ear::audience(public));
}
