//! The eight tables, encrypted in one way: by our writer, or by pyarrow where ours has no such variant.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use duckblind_engine::Engine;
use duckblind_lake::keys::{DataKey, OwnerKey, TableKey};
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::seal::{SealOptions, SealRequest, seal, write_unencrypted};
use duckblind_lake::sealed_file::{AadPrefix, ColumnRules, FileSpec, LocalFile, SealedFile};
use duckblind_protocol::ids::Digest;

use super::super::{MEMORY, THREADS, parquet_files};
use super::peer::{python, script};
use crate::plain::Plain;
use crate::sealed::engine;
use crate::tpch::Table;

/// One table whose files can be opened any number of times.
pub(super) struct Opened {
    name: &'static str,
    files: Vec<OpenedFile>,
}

struct OpenedFile {
    path: PathBuf,
    spec: Box<dyn Fn() -> Result<FileSpec>>,
}

/// An encryption that pyarrow writes under one key, without an AAD prefix.
#[derive(Clone, Copy)]
pub(super) struct Pyarrow {
    pub(super) key: &'static [u8],
    pub(super) algorithm: &'static str,
}

impl Opened {
    /// Seals a table as the product does.
    pub(super) fn seal(table: &Table, options: &SealOptions, work: &Path) -> Result<Self> {
        let dir = work.join(table.name);
        let (table_key, owner) = (TableKey::generate()?, OwnerKey::generate()?);
        let sealed = seal(SealRequest {
            inputs: vec![table.file.clone()],
            table: table.name.to_owned(),
            out_dir: dir.clone(),
            kms: &table_key,
            owner: &owner,
            options: options.clone(),
            progress: &mut |_| {},
        })?;
        let manifest = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None)?;
        let shared = Arc::new((manifest, table_key));
        let files = (0..shared.0.files.len())
            .map(|number| {
                let path = dir.join(&shared.0.files[number].path);
                let shared = Arc::clone(&shared);
                let spec = move || {
                    let (manifest, table_key) = shared.as_ref();
                    let file = &manifest.files[number];
                    let keys = manifest.file_keys(file, table_key, &mut |_| true)?;
                    Ok(manifest.file_spec(file, keys))
                };
                OpenedFile {
                    path,
                    spec: Box::new(spec),
                }
            })
            .collect();
        Ok(Self {
            name: table.name,
            files,
        })
    }

    /// Lets pyarrow encrypt a table.
    pub(super) fn pyarrow(table: &Table, how: Pyarrow, work: &Path) -> Result<Self> {
        let path = work.join(format!("{}.parquet", table.name));
        let digests = write_with_pyarrow(table, &path, how.key, how.algorithm)?;
        let spec = move || {
            Ok(FileSpec {
                columns: ColumnRules {
                    digests: digests.clone(),
                    ..ColumnRules::default()
                },
                ..FileSpec::uniform(DataKey::from_slice(how.key)?, AadPrefix::None)
            })
        };
        Ok(Self {
            name: table.name,
            files: vec![OpenedFile {
                path,
                spec: Box::new(spec),
            }],
        })
    }

    /// The files, opened anew.
    pub(super) fn open(&self) -> Result<Vec<SealedFile>> {
        self.files
            .iter()
            .map(|file| {
                let source = LocalFile::new(File::open(&file.path)?)?;
                Ok(SealedFile::open(Arc::new(source), (file.spec)()?)?)
            })
            .collect()
    }

    /// Its one file, with these stored bytes.
    pub(super) fn in_memory(&self, stored: Vec<u8>) -> Result<SealedFile> {
        let file = self.files.first().context("no file")?;
        Ok(SealedFile::open(Arc::new(stored), (file.spec)()?)?)
    }

    /// Its name, and its files with their keys as peers want them: one key a file.
    pub(super) fn for_peers(&self) -> (String, serde_json::Value) {
        let files = self.files.iter().map(|file| {
            let spec = (file.spec)().expect("opened before");
            let prefix = match &spec.aad_prefix {
                AadPrefix::Supplied(prefix) => hex::encode(prefix),
                AadPrefix::Stored | AadPrefix::None => String::new(),
            };
            let key = spec.keys.footer.as_ref().expect("one key a file");
            serde_json::json!({ "path": file.path, "key": hex::encode(key.expose()), "aad": prefix })
        });
        (self.name.to_owned(), files.collect())
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Where its files are.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }
}

/// An engine that has these tables.
pub(super) fn ours(tables: &[Opened]) -> Result<Engine> {
    let mut engine = engine(THREADS, MEMORY)?;
    for table in tables {
        engine.add_table(table.name, table.open()?)?;
    }
    Ok(engine)
}

/// Plaintext DuckDB over tables that our writer wrote in the clear.
pub(super) fn in_the_clear(tables: &[Table], work: &Path) -> Result<Plain> {
    let plain = Plain::open(THREADS, MEMORY)?;
    for table in tables {
        let dir = work.join(format!("{}-clear", table.name));
        write_unencrypted(vec![table.file.clone()], dir.clone(), &mut |_| {})?;
        plain.add_table(table.name, &parquet_files(&dir)?)?;
    }
    Ok(plain)
}

/// Tables as pyarrow writes them in the clear.
pub(super) fn clear_with_pyarrow(
    tables: &[Table],
    work: &Path,
) -> Result<Vec<(&'static str, PathBuf)>> {
    tables
        .iter()
        .map(|table| {
            let path = work.join(format!("{}-clear.parquet", table.name));
            write_with_pyarrow(table, &path, &[], "")?;
            Ok((table.name, path))
        })
        .collect()
}

fn write_with_pyarrow(
    table: &Table,
    path: &Path,
    key: &[u8],
    algorithm: &str,
) -> Result<BTreeMap<String, Vec<Digest>>> {
    let output = Command::new(python()?)
        .arg("-B")
        .arg(script("write_encrypted.py"))
        .args([&table.file, path])
        .args([&hex::encode(key), algorithm])
        .output()?;
    ensure!(
        output.status.success(),
        "pyarrow cannot write {}: {}",
        table.name,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("digests of column chunks")
}
