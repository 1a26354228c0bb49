//! `duckblind help`: commands, and topics that belong to no command.

use clap::CommandFactory as _;
use duckblind_protocol::coded::Exit;

use super::Cli;
use super::failure::Failure;
use super::ui::Ui;

/// Explain a command or a topic: exit-codes, environment, trust
#[derive(Debug, clap::Args)]
pub(super) struct HelpArgs {
    /// A command, or one of: exit-codes, environment, trust
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub(super) fn help(ui: &Ui, args: &HelpArgs) -> Result<(), Failure> {
    let words: Vec<_> = args.topic.iter().map(String::as_str).collect();
    let text = match words.as_slice() {
        ["exit-codes"] => exit_codes(),
        ["environment"] => ENVIRONMENT.to_owned(),
        // The command's own help is `duckblind trust --help`.
        ["trust"] => TRUST.to_owned(),
        path => command(path)?,
    };
    ui.line(text.trim_end());
    Ok(())
}

fn command(path: &[&str]) -> Result<String, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut found = &mut root;
    for name in path {
        found = found.find_subcommand_mut(name).ok_or_else(|| {
            Failure::usage(
                format!("no command or topic {name:?}"),
                Some(
                    "topics: exit-codes, environment, trust; `duckblind --help` lists the commands",
                ),
            )
        })?;
    }
    Ok(found.render_long_help().to_string())
}

const CODES: &[(Exit, &str)] = &[
    (Exit::Ok, "all went well"),
    (Exit::Internal, "a bug, or a broken machine"),
    (
        Exit::Usage,
        "wrong command line, trust file or configuration",
    ),
    (
        Exit::Rejected,
        "evidence, policy, proof, key or data refused; or the output was cut",
    ),
    (Exit::InconsistentLog, "the log contradicts itself"),
    (Exit::Quorum, "too few agreed"),
    (Exit::Stale, "too old: attestation result, key or ticket"),
    (Exit::Unsupported, "not supported by this build or release"),
    (
        Exit::Malformed,
        "the input does not parse: SQL, tables, files",
    ),
    (Exit::Unreachable, "verifier or host cannot be reached"),
    (
        Exit::Busy,
        "busy; the error says when to try again, or use --wait",
    ),
    (
        Exit::Limit,
        "the job hit its limit of time, memory or result size",
    ),
    (Exit::Died, "the job's process died"),
    (Exit::Cancelled, "cancelled with Ctrl-C"),
];

fn exit_codes() -> String {
    let mut lines = vec!["Exit codes, the same for every command:\n".to_owned()];
    lines.extend(
        CODES
            .iter()
            .map(|(exit, text)| format!("  {:>3}  {text}", exit.code())),
    );
    lines.push(
        "\nEvery error has a stable code (error[DB-…]); with --json errors are JSON on stderr."
            .into(),
    );
    lines.join("\n")
}

const ENVIRONMENT: &str = "\
Environment variables; a flag wins over a variable:

  DUCKBLIND_TRUST      trust file (--trust)
  DUCKBLIND_KEY_FILE   table keys (--key-file)
  DUCKBLIND_OWNER_KEY  owner key (--owner-key)
  DUCKBLIND_IDENTITY   transport key (--identity)
  DUCKBLIND_KEY_<ID>   one table key, 64 hex digits; <ID> is the key id in capitals with `_` for
                       every other character: DUCKBLIND_KEY_ORDERS_V1 for orders-v1
  DUCKBLIND_LOG_FILTER what is logged to stderr, such as `debug` or `duckblind=info` [error];
                       logs hold no SQL, no keys, no data
  DUCKBLIND_LOG        how log lines look: text or json
  XDG_CONFIG_HOME      where the files above are by default: $XDG_CONFIG_HOME/duckblind, else
                       ~/.config/duckblind
  XDG_CACHE_HOME       where vendors' documents are kept: $XDG_CACHE_HOME/duckblind/collateral, else
                       ~/.cache/duckblind/collateral";

const TRUST: &str = "\
The trust file says whom you trust. Without one nothing is sealed to anyone; nothing that a
verifier or host serves is ever added to it by itself.

  version = 1
  development = true          # allows unlogged keys, simulator, tofu: for test data only
  simulator = true            # accepts simulated platforms (needs development)
  hosts = \"registry\"          # host keys are the registry's; \"tofu\": the first one seen is kept

  [verifier]
  url = \"https://verifier.example\"
  ca = \"verifier-ca.pem\"      # optional: the one authority of its certificate

  [[ear_signers]]             # keys whose attestation results are believed
  name = \"ear\"
  key = \"ed25519:<hex>\"

  [[policies]]                # appraisal policies that you accept, by digest
  path = \"policy.toml\"
  sha256 = \"<hex>\"

Paths are relative to the file. An unknown key is an error. The enclave is always appraised here,
under one of these policies; then the verifier's signed result must say the same.

  duckblind trust init    make one           duckblind trust lint    check it
  duckblind trust show    explain it         duckblind trust update  change it

Until there is a transparency log, only `development = true` can run jobs.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend() {
        assert!(CODES.is_sorted_by(|(a, _), (b, _)| a.code() < b.code()));
    }
}
