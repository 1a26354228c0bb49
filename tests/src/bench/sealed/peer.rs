//! Peers: other systems, each as a Python process of its own (`tests/peers`) that is told what to run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::super::THREADS;
use super::race::Contender;
use super::tables::Opened;
use crate::rows::Answer;
use crate::stack::arrow_answer;

/// A running peer.
pub(super) struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    answer: PathBuf,
    own_types: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    sql: &'a str,
    answer: Option<&'a Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    ms: Option<f64>,
    error: Option<String>,
}

/// A Python with peers; `scripts/bench` makes it.
fn python_of(variable: &str) -> Result<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .with_context(|| {
            format!("{variable} names no Python with the peers; run scripts/bench, which makes one")
        })
}

/// The Python that has pyarrow.
pub(super) fn python() -> Result<PathBuf> {
    python_of("DUCKBLIND_PEERS")
}

/// A script of `tests/peers`.
pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name)
}

impl Peer {
    /// pyarrow decrypts the columns that a query needs, DuckDB queries the Arrow tables.
    pub(super) fn pyarrow(tables: &[Opened], work: &Path) -> Result<Self> {
        let tables = tables.iter().map(Opened::for_peers);
        Self::start(&python()?, "pyarrow_duckdb.py", tables, work)
    }

    /// DataFusion with its own reader of encrypted Parquet.
    pub(super) fn datafusion(tables: &[Opened], work: &Path) -> Result<Self> {
        let tables = tables.iter().map(Opened::for_peers);
        let mut peer = Self::start(&python()?, "datafusion_sql.py", tables, work)?;
        peer.own_types = true;
        Ok(peer)
    }

    /// DuckDB over Parquet that it wrote itself, of these files: in its own encrypted form under `key`, or, with an
    /// empty one, in the clear.
    pub(super) fn duckdb(
        clear: &[(&'static str, PathBuf)],
        key: &[u8],
        work: &Path,
    ) -> Result<Self> {
        let tables = clear.iter().map(|(name, path)| {
            let file = serde_json::json!({ "path": path, "key": hex::encode(key), "aad": "" });
            ((*name).to_owned(), serde_json::json!([file]))
        });
        let python = python_of("DUCKBLIND_PEER_DUCKDB")?;
        Self::start(&python, "duckdb_encrypted.py", tables, work)
    }

    fn start(
        python: &Path,
        name: &str,
        tables: impl Iterator<Item = (String, serde_json::Value)>,
        work: &Path,
    ) -> Result<Self> {
        let mut child = Command::new(python)
            .arg("-B")
            .arg(script(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let requests = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().context("piped")?);
        let mut peer = Self {
            child,
            requests,
            replies,
            answer: work.join(format!("{name}.arrow")),
            own_types: false,
        };
        peer.ask(&serde_json::json!({
            "threads": THREADS,
            "tables": tables.collect::<serde_json::Map<_, _>>(),
        }))
        .context(name.to_owned())?;
        Ok(peer)
    }

    fn ask(&mut self, request: &impl Serialize) -> Result<f64> {
        let requests = self.requests.as_mut().context("piped")?;
        serde_json::to_writer(&mut *requests, request)?;
        requests.write_all(b"\n")?;
        requests.flush()?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let reply: Reply = serde_json::from_str(&line).context("the peer has ended")?;
        match (reply.ms, reply.error) {
            (Some(ms), None) => Ok(ms),
            (_, error) => bail!("the peer says: {}", error.unwrap_or_default()),
        }
    }
}

impl Contender for Peer {
    fn run(&mut self, sql: &str) -> Result<f64> {
        self.ask(&Request { sql, answer: None })
    }

    fn answer(&mut self, sql: &str) -> Result<Answer> {
        let file = self.answer.clone();
        self.ask(&Request {
            sql,
            answer: Some(&file),
        })?;
        arrow_answer(&std::fs::read(&file)?)
    }

    fn has_own_types(&self) -> bool {
        self.own_types
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.child.wait();
    }
}
