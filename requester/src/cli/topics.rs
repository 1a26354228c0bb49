//! `duckblind help`: commands, and topics that belong to no command.

use clap::CommandFactory as _;
use duckblind_protocol::coded::Exit;

use super::Cli;
use super::failure::Failure;
use super::ui::Ui;

/// Explain a command or a topic: exit-codes, environment, keys, pyarrow, trust
#[derive(Debug, clap::Args)]
pub(super) struct HelpArgs {
    /// A command, or one of: exit-codes, environment, keys, pyarrow, trust
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub(super) fn help(ui: &Ui, args: &HelpArgs) -> Result<(), Failure> {
    let words: Vec<_> = args.topic.iter().map(String::as_str).collect();
    let text = match words.as_slice() {
        ["exit-codes"] => exit_codes(),
        ["environment"] => ENVIRONMENT.to_owned(),
        ["pyarrow"] => PYARROW.to_owned(),
        // Commands of these names have help of their own: `duckblind trust --help`.
        ["keys"] => KEYS.to_owned(),
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
                    "topics: exit-codes, environment, keys, pyarrow, trust; `duckblind --help` lists the commands",
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
  DUCKBLIND_KEY_<ID>   one table or column key, 32, 48 or 64 hex digits; <ID> is the key id in capitals with `_` for
                       every other character: DUCKBLIND_KEY_ORDERS_V1 for orders-v1
  DUCKBLIND_LOG_FILTER what is logged to stderr, such as `debug` or `duckblind=info` [error];
                       logs hold no SQL, no keys, no data
  DUCKBLIND_LOG        how log lines look: text or json
  XDG_CONFIG_HOME      where the files above are by default: $XDG_CONFIG_HOME/duckblind, else
                       ~/.config/duckblind; snapshots.json there holds the newest snapshot seen of
                       every table, so that none goes back unnoticed
  TMPDIR               where `duckblind sql` spills to encrypted files [/tmp]
  XDG_CACHE_HOME       where vendors' documents are kept: $XDG_CACHE_HOME/duckblind/collateral, else
                       ~/.cache/duckblind/collateral";

const KEYS: &str = "\
Keys of a sealed table, from the one you hold to the one that encrypts:

  owner key            signs the table's manifest, _sealed.json; whoever reads knows whose it is
  table key NAME-v1    wraps the random data key of every file; the key of NAME in your key file
  column key NAME-v1:COLUMN
                       wraps the data keys of one column: who lacks it reads all others
  data key             random, one a file (and one a file and column with a key of its own);
                       lies wrapped in the manifest

A table or column key is looked for in the environment (DUCKBLIND_KEY_<ID>), at --key-fd, and in
the key file, {\"keys\":{\"orders-v1\":\"<hex>\"}}, mode 0600. A job carries only data keys of files and
columns that its SQL may touch, sealed to the enclave; never a table or column key.

  duckblind keys new orders --column customer    make keys (both, where there are none)
  duckblind keys rotate --table orders=DIR       new table and column keys; data is not written
  duckblind keys rotate --table orders=DIR --data    new data keys: every file is written anew
  duckblind keys export FILE --table orders=DIR --out FILE.json    data keys for other tools";

const PYARROW: &str = "\
What `duckblind seal` writes is standard encrypted Parquet. To read one file of a table with
pyarrow (tried with 26), give it the file's data keys:

  duckblind keys export FILE --table orders=DIR | python read.py DIR/FILE

read.py:

  import json, sys
  import pyarrow.parquet as pq
  import pyarrow.parquet.encryption as pe

  keys = json.load(sys.stdin)
  key = lambda text: bytes.fromhex(text) if text else None

  class Keys(pe.KmsClient):
      def unwrap_key(self, wrapped_key, key_id):
          column = key_id.partition(\":\")[2]
          return key(keys[\"columns\"][column] if column else keys[\"footer_key\"])

  if keys[\"columns\"]:  # keys of columns
      factory = pe.CryptoFactory(lambda config: Keys())
      properties = factory.file_decryption_properties(pe.KmsConnectionConfig())
  else:                # one key for the whole file
      properties = pe.create_decryption_properties(
          key(keys[\"footer_key\"]), aad_prefix=key(keys[\"aad_prefix\"]))
  print(pq.ParquetFile(sys.argv[1], decryption_properties=properties).read())

pyarrow takes an AAD prefix for files under one key only: seal tables with column keys with
--aad stored or --aad none if pyarrow is to read them. It checks one file at a time; that no file of
the table was swapped or left out only the manifest tells.";

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
