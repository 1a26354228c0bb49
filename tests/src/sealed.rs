//! A sealed table in this process: sealed by the product's own code, opened for an engine without any daemon.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use duckblind_engine::{Engine, Settings, Spill};
use duckblind_lake::aad_prefix;
use duckblind_lake::keys::{DataKey, OwnerKey, TableKey};
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::seal::{SealOptions, SealRequest, seal};
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LocalFile, ReadAt, SealedFile};
use duckblind_protocol::ids::PublicKey;

use crate::rows::Answer;

/// One file of a sealed table with everything that opens it.
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// Its data key.
    pub key: Vec<u8>,
    /// Its AAD prefix.
    pub aad_prefix: Vec<u8>,
    /// SHA-256 of its stored footer.
    pub footer_digest: duckblind_protocol::ids::Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A sealed table with its keys.
pub struct LocalTable {
    /// Its name in SQL.
    pub name: String,
    /// Its files.
    pub parts: Vec<Part>,
}

impl LocalTable {
    /// Seals plaintext files as table `name` into `dir`, under fresh keys.
    pub fn seal(name: &str, inputs: Vec<PathBuf>, dir: &Path) -> Result<Self> {
        let (table_key, owner) = (TableKey::generate()?, OwnerKey::generate()?);
        seal(SealRequest {
            inputs,
            table: name.to_owned(),
            out_dir: dir.to_owned(),
            kms: &table_key,
            owner: &owner,
            options: SealOptions::default(),
            progress: &mut |_| {},
        })?;
        Self::open(name, dir, &owner.public(), &table_key)
    }

    /// Opens a table that was sealed before.
    pub fn open(name: &str, dir: &Path, owner: &PublicKey, table_key: &TableKey) -> Result<Self> {
        let bytes = fs::read(dir.join("_sealed.json"))?;
        let manifest = VerifiedManifest::open(&bytes, owner, None)?;
        let parts = manifest
            .files
            .iter()
            .map(|file| {
                let keys = manifest.file_keys(file, table_key, &mut |_| true)?;
                let key = keys.footer.context("no footer key")?;
                Ok(Part {
                    path: dir.join(&file.path),
                    key: key.expose().to_vec(),
                    aad_prefix: aad_prefix(&manifest.table, &file.file_id),
                    footer_digest: file.footer_digest,
                    size: file.size,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name: name.to_owned(),
            parts,
        })
    }

    /// Makes it a table of an engine.
    pub fn add_to(&self, engine: &mut Engine) -> Result<()> {
        let files = self
            .parts
            .iter()
            .map(|part| {
                let source: Arc<dyn ReadAt> = Arc::new(LocalFile::new(File::open(&part.path)?)?);
                part.open(source, true)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(engine.add_table(&self.name, files)?)
    }
}

impl Part {
    /// Opens stored bytes as this file; `pinned` also demands the manifest's size and footer digest.
    pub fn open(&self, source: Arc<dyn ReadAt>, pinned: bool) -> Result<SealedFile> {
        Ok(SealedFile::open(
            source,
            FileSpec {
                footer_digest: pinned.then_some(self.footer_digest),
                size: pinned.then_some(self.size),
                ..FileSpec::uniform(
                    DataKey::from_slice(&self.key)?,
                    AadPrefix::Supplied(self.aad_prefix.clone()),
                )
            },
        )?)
    }
}

/// An engine as a query process opens it.
pub fn engine(threads: u32, memory_bytes: u64) -> Result<Engine> {
    Ok(Engine::open(&Settings {
        threads,
        memory_bytes,
        spill: Spill::Off,
    })?)
}

/// Runs one query and fetches the whole answer.
pub fn answer(engine: &Engine, sql: &str) -> Result<Answer> {
    let mut rows = engine.query(sql)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        batches.push(batch);
    }
    if batches.is_empty() {
        batches.push(arrow::array::RecordBatch::new_empty(rows.schema()));
    }
    Answer::from_batches(&batches)
}
