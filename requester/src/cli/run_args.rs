//! The arguments of `run`.

use std::path::PathBuf;

use duckblind_protocol::ids::NodeId;

use super::paths::IdentityArgs;
use super::query_args::{OutputArgs, QueryArgs};
use super::table_args::TableArgs;
use crate::client::LimitsWanted;

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
    #[command(flatten)]
    pub(super) query: QueryArgs,
    #[command(flatten)]
    pub(super) tables: TableArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
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
    pub(super) fn limits(&self) -> LimitsWanted {
        LimitsWanted {
            wall_ms: self.timeout,
            memory_bytes: self.memory,
            result_bytes: self.max_result,
            threads: self.threads,
        }
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

pub(super) fn milliseconds(text: &str) -> Result<u32, String> {
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
