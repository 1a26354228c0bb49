//! What a requester asks: one SELECT over sealed tables, within limits.

use std::collections::BTreeSet;
use std::path::Path;

use duckblind_attestation::config::ConfigLimits;
use duckblind_lake::keys::{FileKeys, Kms};
use duckblind_lake::manifest::MAX_JOB_MANIFEST;
use duckblind_protocol::body::{
    self, FileKey, MAX_SECTION, QueryInput, QuerySection, SecretBytes, SecretText,
};
use duckblind_protocol::cbor;
use duckblind_protocol::ids::{Digest, FileId};
use duckblind_protocol::order::{Limits, MAX_FILES, MAX_INPUTS, OrderFile, OrderInput, Provider};

use super::failure::JobFailure;
use crate::files::FileError;
use crate::table::{InputError, MissingKey, SealedTable};

/// Bytes of a sealed job beyond its tables, SQL and keys: more than they ever are.
const OVERHEAD: usize = 4096;

/// One sealed table of a job, and where the enclave finds it.
pub struct TableInput {
    table: SealedTable,
    remote: String,
}

impl TableInput {
    /// `remote` is the table's directory in the enclave's storage.
    pub fn new(table: SealedTable, remote: &str) -> Result<Self, InputError> {
        if !is_relative(remote) {
            return Err(InputError::Remote(remote.into()));
        }
        Ok(Self {
            table,
            remote: remote.into(),
        })
    }

    /// A table that the enclave's storage has under the name of the table's directory here.
    pub fn of_directory(table: SealedTable) -> Result<Self, InputError> {
        let remote = directory_name(table.dir())?;
        Self::new(table, &remote)
    }

    /// Its name in SQL.
    pub fn name(&self) -> &str {
        self.table.name()
    }

    fn order(&self) -> OrderInput {
        let manifest = self.table.manifest();
        OrderInput {
            name: self.name().into(),
            provider: Provider::LocalFake,
            location: self.remote.clone(),
            manifest: manifest.digest(),
            snapshot: manifest.snapshot,
            files: manifest
                .files
                .iter()
                .map(|file| OrderFile {
                    path: file.path.clone(),
                    size: file.size,
                })
                .collect(),
        }
    }

    fn query(&self, keys: Vec<FileKeys>) -> QueryInput {
        let manifest = self.table.manifest();
        let files = manifest.files.iter().zip(keys);
        QueryInput {
            name: self.name().into(),
            manifest: self.table.manifest_bytes().to_vec(),
            owner: manifest.owner,
            keys: files
                .flat_map(|(file, keys)| file_keys(&file.file_id, keys))
                .collect(),
            accept_unauthenticated: self.table.accepted().to_vec(),
        }
    }
}

fn file_keys(file: &FileId, keys: FileKeys) -> impl Iterator<Item = FileKey> {
    let footer = keys.footer.into_iter().map(|key| (None, key));
    let columns = keys.columns.into_iter();
    let columns = columns.map(|(path, key)| (Some(path), key));
    footer.chain(columns).map(|(column, key)| FileKey {
        file: *file,
        key: SecretBytes::new(key.expose().to_vec()),
        column,
    })
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
    missing: BTreeSet<MissingKey>,
}

impl JobRequest {
    /// Puts a job together, with the data keys that `sql` needs and no others.
    pub fn new(
        sql: String,
        tables: &[TableInput],
        kms: &dyn Kms,
        limits: LimitsWanted,
    ) -> Result<Self, InputError> {
        if sql.trim().is_empty() {
            return Err(InputError::NoSql);
        }
        if tables.len() > MAX_INPUTS {
            return Err(InputError::TooMany("tables"));
        }
        for input in tables {
            let got = input.table.manifest_bytes().len();
            if got > MAX_JOB_MANIFEST {
                return Err(InputError::Manifest {
                    table: input.name().into(),
                    got,
                });
            }
        }
        let files = tables
            .iter()
            .map(|input| input.table.manifest().files.len());
        if files.sum::<usize>() > MAX_FILES {
            return Err(InputError::TooMany("files"));
        }
        let mut names = BTreeSet::new();
        for table in tables {
            // SQL names fold their case.
            if !names.insert(table.name().to_ascii_lowercase()) {
                return Err(InputError::Twice(table.name().into()));
            }
        }
        let mut missing = BTreeSet::new();
        let mut queries = Vec::with_capacity(tables.len());
        for input in tables {
            let needed = input.table.keys_for(&sql, kms)?;
            missing.extend(needed.missing);
            queries.push(input.query(needed.files));
        }
        let query = QuerySection {
            v: body::VERSION,
            sql: SecretText::new(sql),
            inputs: queries,
        };
        let inputs: Vec<_> = tables.iter().map(TableInput::order).collect();
        // Both parts and what seals them go into one frame.
        let got = query.encode().len() + cbor::encode(&inputs).len() + OVERHEAD;
        if got > MAX_SECTION {
            return Err(InputError::TooLarge { got });
        }
        Ok(Self {
            inputs,
            query,
            limits,
            missing,
        })
    }

    /// Columns that the SQL may touch and whose keys were not at hand: reading them will fail.
    pub fn missing_keys(&self) -> &BTreeSet<MissingKey> {
        &self.missing
    }

    /// Manifest digests in the order of the tables, as the job receipt must list them.
    pub(super) fn manifests(&self) -> Vec<Digest> {
        self.inputs.iter().map(|input| input.manifest).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use duckblind_lake::keys::KeyProvider;
    use duckblind_protocol::coded::{Coded as _, Exit};

    use super::*;
    use crate::table::tests::People;

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

    /// What the section for the query process holds, as that process decodes it.
    fn sealed_keys(sql: &str, kms: &dyn Kms, people: &People) -> Vec<(Option<String>, Vec<u8>)> {
        let input = TableInput::of_directory(people.open()).unwrap();
        let job = JobRequest::new(sql.into(), &[input], kms, LimitsWanted::default()).unwrap();
        let section = QuerySection::decode(&job.query.encode()).unwrap();
        let keys = section.inputs[0].keys.iter();
        keys.map(|key| (key.column.clone(), key.key.expose().to_vec()))
            .collect()
    }

    #[test]
    fn a_job_carries_only_the_data_keys_that_it_needs() {
        let people = People::seal();
        let all = people.all();
        let columns = |sql: &str| -> Vec<_> {
            let keys = sealed_keys(sql, &all, &people);
            keys.into_iter().map(|(column, _)| column).collect()
        };
        let name = || Some("name".to_owned());
        assert_eq!(columns("select id from people"), [None]);
        assert_eq!(columns("select max(name) from people"), [None, name()]);
        assert_eq!(
            columns("select * from people"),
            [None, Some("Salary".to_owned()), name()]
        );
        // None of them is a key that the requester keeps.
        let every = sealed_keys("select * from people", &all, &people);
        for id in ["people-v1", "people-v1:name", "people-v1:Salary"] {
            let kept = all.table_key(id).unwrap();
            assert!(every.iter().all(|(_, key)| key != kept.expose()), "{id}");
        }
    }

    #[test]
    fn a_job_without_some_columns_key_says_so() {
        let people = People::seal();
        let some = people.keys(&["people-v1", "people-v1:name"]);
        let input = TableInput::of_directory(people.open()).unwrap();
        let sql = "select name, salary from people".to_owned();
        let job = JobRequest::new(sql, &[input], &some, LimitsWanted::default()).unwrap();
        let missing: Vec<_> = job
            .missing_keys()
            .iter()
            .map(|m| m.key_id.as_str())
            .collect();
        assert_eq!(missing, ["people-v1:Salary"]);
    }

    #[test]
    fn a_job_needs_sql() {
        let keys = KeyProvider::new(None);
        let job = |sql: &str| JobRequest::new(sql.into(), &[], &keys, LimitsWanted::default());
        assert_eq!(job("  \n").err().unwrap().code(), "DB-REQ-067");
        assert!(job("select 1").is_ok());
    }
}
