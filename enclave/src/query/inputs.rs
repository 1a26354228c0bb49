//! Inputs, checked before the engine sees any of them: the manifest is the pinned one and signed
//! by the expected owner, the order names its files, each file has its size and footer and opens
//! with its key.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use duckblind_engine::EngineError;
use duckblind_lake::keys::{DataKey, FileKeys};
use duckblind_lake::manifest::{ManifestError, ManifestFile, VerifiedManifest};
use duckblind_lake::sealed_file::{FileSpec, LakeError, LocalFile, SealedFile};
use duckblind_protocol::body::QueryInput;
use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::order::OrderInput;

/// One table of a job, ready for the engine.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) manifest: VerifiedManifest,
    pub(super) files: Vec<SealedFile>,
}

/// The tables of a job. `files` are in the order of `ordered`.
pub(super) fn open(
    ordered: &[OrderInput],
    asked: &[QueryInput],
    files: Vec<OwnedFd>,
) -> Result<Vec<Table>, JobError> {
    if ordered.len() != asked.len() {
        return Err(JobError::new(
            JobCode::Malformed,
            "order and body name different inputs",
        ));
    }
    let mut files = files.into_iter();
    let tables = ordered.iter().zip(asked);
    tables
        .map(|(ordered, asked)| table(ordered, asked, &mut files))
        .collect()
}

fn table(
    ordered: &OrderInput,
    asked: &QueryInput,
    files: &mut impl Iterator<Item = OwnedFd>,
) -> Result<Table, JobError> {
    let name = &ordered.name;
    if *name != asked.name {
        return Err(JobError::new(
            JobCode::Malformed,
            "order and body name different inputs",
        ));
    }
    let manifest = VerifiedManifest::open(&asked.manifest, &asked.owner, Some(&ordered.manifest))
        .map_err(|error| refused(name, &error))?;
    let same_files = manifest.files.len() == ordered.files.len()
        && manifest
            .files
            .iter()
            .zip(&ordered.files)
            .all(|(ours, theirs)| ours.path == theirs.path && ours.size == theirs.size);
    if !same_files || manifest.snapshot != ordered.snapshot {
        return Err(JobError::new(
            JobCode::ManifestMismatch,
            format!(
                "input {name}: the order names other files or another snapshot than the manifest"
            ),
        ));
    }
    let opened = manifest.files.iter().map(|file| {
        let stored = files
            .next()
            .ok_or_else(|| JobError::of(JobCode::Internal))?;
        let keys = keys(name, asked, file)?;
        let mut spec = manifest.file_spec(file, keys);
        spec.columns.accept_unauthenticated =
            asked.accept_unauthenticated.iter().cloned().collect();
        open_file(stored, spec)
            .map_err(|error| EngineError::Data(error).to_job_error())
            .map_err(|mut error| {
                error.message = format!("table {name}, file {}: {}", file.path, error.message);
                error
            })
    });
    let files = opened.collect::<Result<_, _>>()?;
    Ok(Table {
        name: name.clone(),
        manifest,
        files,
    })
}

fn open_file(stored: OwnedFd, spec: FileSpec) -> Result<SealedFile, LakeError> {
    let stored = LocalFile::new(File::from(stored))?;
    SealedFile::open(Arc::new(stored), spec)
}

/// The data keys that the job brings for one file. Which of them it needs, the file itself says.
fn keys(name: &str, asked: &QueryInput, file: &ManifestFile) -> Result<FileKeys, JobError> {
    let mut keys = FileKeys::default();
    for given in asked.keys.iter().filter(|given| given.file == file.file_id) {
        let wrapped = file
            .wrapped_keys
            .iter()
            .find(|wrapped| wrapped.column == given.column);
        let id = wrapped.map_or("unnamed", |wrapped| wrapped.key_id.as_str());
        let key = DataKey::from_slice(given.key.expose()).map_err(|_| {
            JobError::new(
                JobCode::KeyMissing,
                format!(
                    "input {name}: {}: a data key of impossible length under {id}",
                    file.path
                ),
            )
        })?;
        let key = key.labelled(id);
        match &given.column {
            None => keys.footer = Some(key),
            Some(column) => {
                keys.columns.insert(column.clone(), key);
            }
        }
    }
    if keys.footer.is_none() {
        let id = file
            .wrapped_keys
            .iter()
            .find(|wrapped| wrapped.column.is_none())
            .map_or("unnamed", |wrapped| wrapped.key_id.as_str());
        return Err(JobError::new(
            JobCode::KeyMissing,
            format!("input {name}: {}: no data key under {id}", file.path),
        ));
    }
    Ok(keys)
}

fn refused(name: &str, error: &ManifestError) -> JobError {
    let code = match error {
        ManifestError::Owner { .. } | ManifestError::Signature => JobCode::OwnerMismatch,
        _ => JobCode::ManifestMismatch,
    };
    let mut told = JobError::new(code, format!("input {name}: {error}"));
    told.expected = error.expected();
    told.got = error.got();
    told
}
