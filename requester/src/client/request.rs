//! What a requester asks: one SELECT over sealed tables, within limits.

use std::path::Path;

use duckblind_attestation::config::ConfigLimits;
use duckblind_lake::TableName;
use duckblind_lake::keys::{KeyError, KeyProvider};
use duckblind_lake::manifest::{FILE_NAME, MAX_MANIFEST, ManifestError, VerifiedManifest};
use duckblind_lake::names::BadTableName;
use duckblind_protocol::body::{self, FileKey, QueryInput, QuerySection, SecretBytes, SecretText};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::order::{Limits, MAX_FILES, MAX_INPUTS, OrderFile, OrderInput, Provider};

use super::failure::JobFailure;
use crate::files::{self, FileError};

/// A job that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The manifest cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No name for SQL.
    #[error(transparent)]
    Name(#[from] BadTableName),
    /// The manifest does not hold.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A key is missing or wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Two tables of one name.
    #[error("the table name {0} is given twice")]
    Twice(String),
    /// A directory that the enclave's storage cannot name.
    #[error("{0:?} is not a directory within the enclave's storage")]
    Remote(String),
    /// No SQL at all.
    #[error("the query is empty")]
    NoSql,
    /// More tables or files than one job may have.
    #[error("too many {0} for one job")]
    TooMany(&'static str),
}

impl InputError {
    fn inner(&self) -> Option<&dyn Coded> {
        match self {
            Self::File(e) => Some(e),
            Self::Name(e) => Some(e),
            Self::Manifest(e) => Some(e),
            Self::Key(e) => Some(e),
            _ => None,
        }
    }
}

impl Coded for InputError {
    fn code(&self) -> &'static str {
        match self {
            Self::Twice(_) => "DB-REQ-065",
            Self::Remote(_) => "DB-REQ-066",
            Self::NoSql => "DB-REQ-067",
            Self::TooMany(_) => "DB-REQ-068",
            _ => self.inner().map_or("DB-REQ-069", Coded::code),
        }
    }
    fn exit(&self) -> Exit {
        self.inner().map_or(Exit::Usage, Coded::exit)
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::TooMany("tables") => Some(format!("at most {MAX_INPUTS}")),
            Self::TooMany(_) => Some(format!("at most {MAX_FILES}")),
            _ => self.inner().and_then(Coded::expected),
        }
    }
    fn got(&self) -> Option<String> {
        self.inner().and_then(Coded::got)
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(FileError::Read { .. }) => Some(
                "--table NAME=DIR names the directory that `duckblind seal` wrote; it holds _sealed.json"
                    .into(),
            ),
            Self::Remote(_) => Some(
                "write --table NAME=DIR@REMOTE, with REMOTE relative and without `..`".into(),
            ),
            _ => self.inner().and_then(Coded::hint),
        }
    }
}

/// One sealed table, its manifest verified and its data keys at hand.
pub struct TableInput {
    order: OrderInput,
    query: QueryInput,
}

impl TableInput {
    /// Reads the manifest in `dir`, checks that `owner` signed it, and unwraps its data keys.
    /// `remote` is the table's directory in the enclave's storage; without it, the name of `dir`.
    pub fn open(
        name: &str,
        dir: &Path,
        remote: Option<&str>,
        owner: &PublicKey,
        keys: &KeyProvider,
    ) -> Result<Self, InputError> {
        let manifest = files::read_bytes(&dir.join(FILE_NAME), MAX_MANIFEST as u64)?;
        let remote = match remote {
            Some(remote) => remote.to_owned(),
            None => directory_name(dir)?,
        };
        Self::from_manifest(name, manifest, remote, owner, keys)
    }

    /// From the exact bytes of a manifest.
    pub fn from_manifest(
        name: &str,
        manifest: Vec<u8>,
        remote: String,
        owner: &PublicKey,
        keys: &KeyProvider,
    ) -> Result<Self, InputError> {
        let name: TableName = name.parse()?;
        if !is_relative(&remote) {
            return Err(InputError::Remote(remote));
        }
        let digest = Digest::of(&manifest);
        let verified = VerifiedManifest::open(&manifest, owner, None)?;
        let mut order_files = Vec::new();
        let mut file_keys = Vec::new();
        for file in &verified.files {
            order_files.push(OrderFile {
                path: file.path.clone(),
                size: file.size,
            });
            let opened = verified.file_keys(file, keys, &mut |_| true)?;
            let columns = opened
                .columns
                .into_iter()
                .map(|(path, key)| (Some(path), key));
            let footer = opened.footer.into_iter().map(|key| (None, key));
            file_keys.extend(footer.chain(columns).map(|(column, key)| FileKey {
                file: file.file_id,
                key: SecretBytes::new(key.expose().to_vec()),
                column,
            }));
        }
        Ok(Self {
            order: OrderInput {
                name: name.to_string(),
                provider: Provider::LocalFake,
                location: remote,
                manifest: digest,
                snapshot: verified.snapshot,
                files: order_files,
            },
            query: QueryInput {
                name: name.to_string(),
                manifest,
                owner: *owner,
                keys: file_keys,
                accept_unauthenticated: Vec::new(),
            },
        })
    }

    /// Its name in SQL.
    pub fn name(&self) -> &str {
        &self.order.name
    }
}

fn directory_name(dir: &Path) -> Result<String, InputError> {
    // `.` and `x/..` have no name of their own; what they stand for has.
    let resolved = dir.canonicalize().map_err(FileError::read(dir))?;
    resolved
        .file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| InputError::Remote(dir.display().to_string()))
}

fn is_relative(remote: &str) -> bool {
    !remote.is_empty()
        && !remote.contains(['\0', '\\'])
        && remote
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// What a job may use; what is left out is the enclave's own limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitsWanted {
    /// Wall clock, milliseconds.
    pub wall_ms: Option<u32>,
    /// Engine memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Result, bytes.
    pub result_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u32>,
}

impl LimitsWanted {
    /// The job's limits, none beyond the enclave's own.
    pub(super) fn within(&self, enclave: &ConfigLimits) -> Result<Limits, JobFailure> {
        let limits = Limits {
            wall_ms: self.wall_ms.unwrap_or(enclave.wall_ms),
            memory_bytes: self.memory_bytes.unwrap_or(enclave.memory_bytes),
            result_bytes: self.result_bytes.unwrap_or(enclave.result_bytes),
            threads: self.threads.unwrap_or(enclave.threads),
        };
        let each = [
            (
                "time",
                "ms",
                u64::from(limits.wall_ms),
                u64::from(enclave.wall_ms),
            ),
            ("memory", "bytes", limits.memory_bytes, enclave.memory_bytes),
            ("result", "bytes", limits.result_bytes, enclave.result_bytes),
            (
                "threads",
                "threads",
                u64::from(limits.threads),
                u64::from(enclave.threads),
            ),
        ];
        match each.into_iter().find(|(_, _, wanted, most)| wanted > most) {
            None => Ok(limits),
            Some((limit, unit, wanted, most)) => Err(JobFailure::TooMuch {
                limit,
                unit,
                wanted,
                most,
            }),
        }
    }
}

/// One SELECT over sealed tables. May be run more than once: every attempt is a job of its own.
pub struct JobRequest {
    pub(super) inputs: Vec<OrderInput>,
    pub(super) query: QuerySection,
    pub(super) limits: LimitsWanted,
}

impl JobRequest {
    /// Puts a job together.
    pub fn new(
        sql: String,
        tables: Vec<TableInput>,
        limits: LimitsWanted,
    ) -> Result<Self, InputError> {
        if sql.trim().is_empty() {
            return Err(InputError::NoSql);
        }
        if tables.len() > MAX_INPUTS {
            return Err(InputError::TooMany("tables"));
        }
        if tables.iter().map(|t| t.order.files.len()).sum::<usize>() > MAX_FILES {
            return Err(InputError::TooMany("files"));
        }
        let mut names = std::collections::BTreeSet::new();
        for table in &tables {
            // SQL names fold their case.
            if !names.insert(table.name().to_ascii_lowercase()) {
                return Err(InputError::Twice(table.name().into()));
            }
        }
        let (inputs, queries) = tables.into_iter().map(|t| (t.order, t.query)).unzip();
        Ok(Self {
            inputs,
            query: QuerySection {
                v: body::VERSION,
                sql: SecretText::new(sql),
                inputs: queries,
            },
            limits,
        })
    }

    /// Manifest digests in the order of the tables, as the job receipt must list them.
    pub(super) fn manifests(&self) -> Vec<Digest> {
        self.inputs.iter().map(|input| input.manifest).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn remote_directories_stay_inside() {
        for good in ["orders", "a/b", "a.b"] {
            assert!(is_relative(good), "{good}");
        }
        for bad in ["", "/a", "a/", "../a", "a/../b", ".", "a//b", "a\\b", "a\0"] {
            assert!(!is_relative(bad), "{bad}");
        }
    }

    #[test]
    fn limits_default_to_the_enclaves() {
        let enclave = ConfigLimits {
            max_jobs: 1,
            standbys: 1,
            wall_ms: 10,
            memory_bytes: 20,
            result_bytes: 30,
            threads: 2,
        };
        let wanted = LimitsWanted {
            wall_ms: Some(5),
            ..LimitsWanted::default()
        };
        let limits = wanted.within(&enclave).unwrap();
        assert_eq!(
            (limits.wall_ms, limits.memory_bytes, limits.threads),
            (5, 20, 2)
        );
        let wanted = LimitsWanted {
            memory_bytes: Some(21),
            ..LimitsWanted::default()
        };
        let error = wanted.within(&enclave).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("DB-JOB-009", Exit::Usage));
        assert!(error.to_string().ends_with("memory"), "{error}");
        assert_eq!(error.expected().unwrap(), "at most 20 bytes");
        assert_eq!(error.got().unwrap(), "21 bytes");
    }

    #[test]
    fn a_job_needs_sql() {
        let none = JobRequest::new("  \n".into(), Vec::new(), LimitsWanted::default());
        assert_eq!(none.err().unwrap().code(), "DB-REQ-067");
        assert!(JobRequest::new("select 1".into(), Vec::new(), LimitsWanted::default()).is_ok());
    }
}
