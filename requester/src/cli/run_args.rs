//! The arguments of `run`.

use std::path::PathBuf;

use duckblind_protocol::ids::{NodeId, PublicKey};

use super::failure::Failure;
use super::paths::{IdentityArgs, KeyArgs, public_key};
use crate::client::LimitsWanted;
use crate::files;
use crate::output::{DEFAULT_ROWS, Format};

const EXAMPLES: &str = "\
Examples:
  duckblind run 'select 42'
  duckblind run 'select region, sum(price) from orders group by all' --table orders=sealed/orders
  duckblind run -f report.sql --table orders=sealed/orders -o report.parquet --receipt report.receipt
  duckblind run - --table orders=sealed/orders --format csv < report.sql";

/// Run one SELECT over sealed tables inside an attested enclave
///
/// The enclave is appraised first, here. Then the query and the tables' data keys are sealed to
/// its attested key. A file given with -o appears only when the whole result and the enclave's
/// signed receipt for it have come. Files of -o and --receipt are replaced, in directories that
/// are there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    /// The query; `-` reads it from stdin
    // A query may begin with a comment: `-- …`.
    #[arg(
        value_name = "SQL",
        required_unless_present = "file",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    pub(super) sql: Option<String>,
    /// Read the query from a file
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// A table: its name in SQL, the directory with its _sealed.json [default: NAME], and where
    /// the enclave's storage has it [default: the directory's name]
    #[arg(long = "table", short, value_name = "NAME[=DIR[@REMOTE]]")]
    pub(super) tables: Vec<TableArg>,
    /// Who sealed the tables [default: your own owner key]
    #[arg(long, value_name = "ed25519:HEX", value_parser = public_key)]
    pub(super) owner: Option<PublicKey>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// How the result is written [default: by the name of -o, else table, or jsonl with --json]
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Write the result to a file
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Rows that a table shows
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ROWS)]
    pub(super) max_rows: usize,
    /// Keep what proves the job: evidence, attestation result, policy, signed job receipt; also
    /// of a job that failed
    #[arg(long, value_name = "FILE")]
    pub(super) receipt: Option<PathBuf>,
    /// Ask the enclave for evidence with a nonce of your own
    #[arg(long)]
    pub(super) fresh: bool,
    /// Use this host of the registry
    #[arg(long, value_name = "ID", conflicts_with = "host")]
    pub(super) node: Option<NodeId>,
    /// Use the host at this address (trust file with hosts = "tofu")
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) host: Option<String>,
    /// While the enclave is busy, try again for this many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    pub(super) wait: Option<u64>,
    /// Stop the query after this time, such as 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub(super) timeout: Option<u32>,
    /// Memory of the query, such as 2GiB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(super) memory: Option<u64>,
    /// Largest result, such as 100MiB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(super) max_result: Option<u64>,
    /// Threads of the query
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<u32>,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
}

impl RunArgs {
    /// The query's text.
    pub(super) fn query(&self) -> Result<String, Failure> {
        match (&self.file, self.sql.as_deref()) {
            (Some(path), _) if path.as_os_str() == "-" => stdin(),
            (Some(path), _) => Ok(files::read_text(path)?),
            (None, Some("-")) => stdin(),
            (None, Some(sql)) => Ok(sql.to_owned()),
            (None, None) => Err(Failure::usage("no query", None)),
        }
    }

    pub(super) fn limits(&self) -> LimitsWanted {
        LimitsWanted {
            wall_ms: self.timeout,
            memory_bytes: self.memory,
            result_bytes: self.max_result,
            threads: self.threads,
        }
    }

    /// As asked, or as the output's name says.
    /// Without either: rows for a program with `--json`, else for people.
    pub(super) fn format(&self, json: bool) -> Result<Format, Failure> {
        match (self.format, &self.output) {
            (Some(format), _) => Ok(format),
            (None, None) if json => Ok(Format::Jsonl),
            (None, None) => Ok(Format::Table),
            (None, Some(path)) => Format::of_path(path).ok_or_else(|| {
                Failure::usage(
                    format!("the name {} does not tell a format", path.display()),
                    Some("add --format csv, jsonl, arrow, parquet or table"),
                )
            }),
        }
    }
}

fn stdin() -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    std::io::stdin()
        .take(files::MAX_TEXT)
        .read_to_string(&mut text)
        .map_err(|e| Failure::usage(format!("stdin cannot be read: {e}"), None))?;
    Ok(text)
}

/// `NAME[=DIR[@REMOTE]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableArg {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) remote: Option<String>,
}

impl std::str::FromStr for TableArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('=').unwrap_or((text, text));
        let (dir, remote) = match place.rsplit_once('@') {
            Some((dir, remote)) => (dir, Some(remote.to_owned())),
            None => (place, None),
        };
        if name.is_empty() || dir.is_empty() || remote.as_deref() == Some("") {
            return Err("expected NAME, NAME=DIR or NAME=DIR@REMOTE".into());
        }
        Ok(Self {
            name: name.into(),
            dir: dir.into(),
            remote,
        })
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

fn milliseconds(text: &str) -> Result<u32, String> {
    let (number, unit) = split_unit(text);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a time such as 500ms, 30s, 5m, 1h".into()),
    };
    number
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|ms| *ms > 0)
        .ok_or_else(|| "expected a time such as 500ms, 30s, 5m, 1h".into())
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err("expected a size such as 512MiB, 2GiB".into()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a size such as 512MiB, 2GiB".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let parse = |text: &str| text.parse::<TableArg>();
        let plain = parse("orders").unwrap();
        assert_eq!(
            (plain.name.as_str(), plain.dir.to_str()),
            ("orders", Some("orders"))
        );
        let full = parse("o=a/b@c/d").unwrap();
        assert_eq!(full.dir.to_str(), Some("a/b"));
        assert_eq!(full.remote.as_deref(), Some("c/d"));
        for bad in ["", "=a", "o=", "o=@x", "o=a@"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(milliseconds("30s"), Ok(30_000));
        assert_eq!(milliseconds("2m"), Ok(120_000));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("10mb"), Ok(10_000_000));
        for bad in ["", "0s", "s", "1 day", "99999999h", "-1s"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
        assert!(bytes("1x").is_err());
    }
}
