//! Queries over sealed tables on this machine: the engine of the enclave, locked down as there, with
//! keys that never leave.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_engine::{Engine, EngineError, Settings};
use duckblind_lake::keys::{FileKeys, Kms};
use duckblind_lake::manifest::ManifestFile;
use duckblind_lake::sealed_file::{LakeError, LocalFile, SealedFile};

use crate::client::JobFailure;
use crate::error::RequesterError;
use crate::files::FileError;
use crate::table::{InputError, MissingKey, SealedTable};

/// An engine with these tables and the keys that `sql` needs; also the
/// columns that it may need and whose keys are not at hand.
pub(crate) fn open(
    settings: &Settings,
    tables: &[SealedTable],
    sql: &str,
    kms: &dyn Kms,
) -> Result<(Engine, BTreeSet<MissingKey>), RequesterError> {
    let failed = |error: EngineError| JobFailure::failed(error.to_job_error(), sql);
    let mut engine = Engine::open(settings).map_err(failed)?;
    let mut missing = BTreeSet::new();
    for table in tables {
        let needed = table.keys_for(sql, kms).map_err(RequesterError::Key)?;
        missing.extend(needed.missing);
        let manifest = table.manifest();
        let mut files = Vec::with_capacity(manifest.files.len());
        for (file, keys) in manifest.files.iter().zip(needed.files) {
            let stored = table.stored(file).map_err(|error| InputError::DataFile {
                table: table.name().into(),
                path: table.dir().join(&file.path),
                kind: error.kind(),
            })?;
            let opened = open_file(table, file, stored, keys).map_err(|error| {
                let mut error = EngineError::Data(error).to_job_error();
                error.message = format!("table {}, file {}: {error}", table.name(), file.path);
                JobFailure::failed(error, sql)
            })?;
            files.push(opened);
        }
        engine
            .add_sealed_table(table.name(), manifest, files)
            .map_err(failed)?;
    }
    Ok((engine, missing))
}

fn open_file(
    table: &SealedTable,
    file: &ManifestFile,
    stored: LocalFile,
    keys: FileKeys,
) -> Result<SealedFile, LakeError> {
    let mut spec = table.manifest().file_spec(file, keys);
    spec.columns.accept_unauthenticated = table.accepted().iter().cloned().collect();
    SealedFile::open(Arc::new(stored), spec)
}

/// A directory for nobody else, gone when dropped.
pub(crate) struct PrivateDir(PathBuf);

impl PrivateDir {
    /// In the system's place for temporary files.
    pub(crate) fn new() -> Result<Self, RequesterError> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| duckblind_lake::keys::KeyError::Randomness)?;
        let path = std::env::temp_dir().join(format!("duckblind-{}", hex::encode(random)));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(FileError::write(&path))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // Best effort: what is left is ciphertext under a key that is gone.
        let _ = fs::remove_dir_all(&self.0);
    }
}
