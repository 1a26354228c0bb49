//! The command line.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use duckblind_protocol::coded::{self, Coded, Exit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::error::HostError;
use crate::node_key::NodeKey;
use crate::{doctor, run};

/// Relays confidential SQL jobs to an enclave, and sees none of them.
#[derive(Debug, Parser)]
#[command(name = "duckblind-host", version, max_term_width = 100, after_help = EXITS)]
struct Arguments {
    /// Form of the log on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogForm::Text,
        value_name = "FORM",
        env = "DUCKBLIND_LOG"
    )]
    log: LogForm,
    /// Print results and errors as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes: 0 ok, 1 internal or doctor found failures, 2 usage or configuration, \
10 refused, 20 unsupported, 30 malformed input, 40 unreachable.\n\
Environment: DUCKBLIND_LOG_FILTER says what is logged (for example: debug), DUCKBLIND_LOG how: text or json.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogForm {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host agent until SIGTERM or Ctrl-C, then drain.
    Run {
        #[command(flatten)]
        config: ConfigArgument,
        /// Write the actual addresses there, as JSON, when up; removed at the end.
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// The node's key.
    #[command(subcommand)]
    Keys(Keys),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check whether this machine is fit to run: PASS, WARN, FAIL or SKIP per line.
    Doctor {
        #[command(flatten)]
        config: ConfigArgument,
        /// The appraisal policy (TOML) to judge the enclave's evidence by, as requesters do.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "DUCKBLIND_HOST_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make node.key (mode 0600) and node.pub; never overwrites.
    New {
        /// The directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print node id and public key.
    Show {
        /// The key file.
        #[arg(long, value_name = "FILE", default_value = "node.key")]
        key: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Parse the file and print what is understood.
    Check {
        #[command(flatten)]
        config: ConfigArgument,
    },
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, and go to stdout with exit 0.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            return ExitCode::from(exit.code());
        }
    };
    let json = arguments.json;
    match start(arguments) {
        Ok(()) => ExitCode::from(Exit::Ok.code()),
        Err(error) => {
            let text = if json {
                format!("{}\n", coded::render_json(&error))
            } else {
                coded::render(&error)
            };
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(error.exit().code())
        }
    }
}

fn start(arguments: Arguments) -> Result<(), HostError> {
    let json = arguments.json;
    match arguments.command {
        Command::Run { config, ready_file } => {
            start_log(arguments.log);
            let config = Config::load(&config.config)?;
            runtime()?.block_on(async { run::run(config, ready_file, signalled()?).await })
        }
        Command::Keys(Keys::New { out }) => {
            let key = NodeKey::generate()?;
            let files = key.write(&out)?;
            print(
                json,
                &[
                    ("node", &key.node()),
                    ("secret", &files.secret.display()),
                    ("public", &files.public.display()),
                ],
            )
        }
        Command::Keys(Keys::Show { key }) => {
            let key = NodeKey::load(&key)?;
            let public = format!("ed25519:{}", key.public());
            print(json, &[("node", &key.node()), ("key", &public)])
        }
        Command::Config(ConfigCommand::Check { config }) => {
            let config = Config::load(&config.config)?;
            print(
                json,
                &[
                    ("listen", &config.listen),
                    (
                        "advertise",
                        &config.advertise.as_deref().unwrap_or("(as listened on)"),
                    ),
                    ("enclave", &config.enclave),
                    ("verifier", &config.verifier),
                    ("class", &config.class),
                    ("audience", &config.audience),
                    ("peers", &peers(&config)),
                    ("metrics", &config.metrics),
                    ("limits", &format!("{:?}", config.limits)),
                    ("timeouts", &format!("{:?}", config.timeouts)),
                ],
            )
        }
        Command::Doctor { config, policy } => {
            let machine = doctor::Machine::here();
            let report = doctor::examine(&config.config, policy.as_deref(), &machine);
            let report = runtime()?.block_on(report);
            print_report(json, &report)?;
            doctor::verdict(&report)
        }
    }
}

fn peers(config: &Config) -> String {
    match &config.peers {
        crate::peers::PeerPolicy::Open => "open".to_owned(),
        crate::peers::PeerPolicy::Allow(nodes) => format!("{} listed", nodes.len()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, HostError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| HostError::System { source })
}

/// Ends at SIGTERM or Ctrl-C.
fn signalled() -> Result<impl Future<Output = ()>, HostError> {
    let system = |source| HostError::System { source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn start_log(form: LogForm) {
    let filter =
        EnvFilter::try_from_env("DUCKBLIND_LOG_FILTER").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Fails only if a log is there already.
    let _ = match form {
        LogForm::Text => log.try_init(),
        LogForm::Json => log.json().try_init(),
    };
}

fn print(json: bool, fields: &[(&str, &dyn fmt::Display)]) -> Result<(), HostError> {
    let text = if json {
        let fields: serde_json::Map<_, _> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_string().into()))
            .collect();
        format!("{}\n", serde_json::Value::Object(fields))
    } else {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in fields {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:width$}  {value}");
        }
        text
    };
    write_out(&text)
}

fn print_report(json: bool, report: &[doctor::Finding]) -> Result<(), HostError> {
    if json {
        write_out(&format!("{}\n", serde_json::json!({ "checks": report })))
    } else {
        write_out(&doctor::render(report))
    }
}

fn write_out(text: &str) -> Result<(), HostError> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever read us has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(HostError::System { source }),
        Ok(()) => Ok(()),
    }
}
