//! From a request to a sealed table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::datatypes::{Schema, SchemaRef};
use duckblind_protocol::ids::FileId;
use parquet::arrow::ArrowSchemaConverter;

use super::check::check;
use super::csv_options::CsvOptions;
use super::error::SealError;
use super::input::{Input, common_schema};
use super::progress::{Passed, Progress, Stage};
use super::workspace::Workspace;
use super::writer::{Protection, write_file};
use crate::keys::{DataKey, KeyError, Kms, OwnerKey, WrapContext};
use crate::manifest::{
    Algorithm, ColumnKey, FILE_NAME, Layout, MAX_FILES, Manifest, ManifestAad, ManifestFile,
    SchemaField, VERSION, WrappedKey,
};
use crate::names::{TableName, aad_prefix, key_id};

/// What to seal, and how.
pub struct SealRequest<'a> {
    /// CSV, TSV, JSON lines or Parquet, by the ends of their names.
    pub inputs: Vec<PathBuf>,
    /// The table's name in SQL.
    pub table: String,
    /// Where the table goes; made if it is not there.
    pub out_dir: PathBuf,
    /// Wraps the data keys.
    pub kms: &'a dyn Kms,
    /// Signs the manifest.
    pub owner: &'a OwnerKey,
    /// How it is to be sealed.
    pub options: SealOptions,
    /// Hears how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// How a table is sealed. By default everything is encrypted, footer too, under one fresh data key
/// a file.
#[derive(Clone, Debug, Default)]
pub struct SealOptions {
    /// What CSV inputs do not say themselves.
    pub csv: CsvOptions,
}

/// A table just sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes of `_sealed.json`.
    pub manifest_bytes: Vec<u8>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all sealed files.
    pub bytes: u64,
}

/// A table written in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unencrypted {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Seals a table.
pub fn seal(request: SealRequest<'_>) -> Result<Sealed, SealError> {
    let table: TableName = request.table.parse()?;
    if request.out_dir.join(FILE_NAME).exists() {
        return Err(SealError::Exists {
            path: request.out_dir,
        });
    }
    let mut source = Source::open(request.inputs, &request.options.csv, request.progress)?;
    let mut workspace = Workspace::open(&request.out_dir)?;
    let key_id = key_id(table.as_str());
    let mut files = Vec::new();
    let mut rows = 0;
    while let Some(mut part) = source.next_part()? {
        if files.len() >= MAX_FILES {
            return Err(SealError::TooLarge);
        }
        let file_id = FileId::random().map_err(|_| KeyError::Randomness)?;
        let data_key = DataKey::generate()?;
        let prefix = aad_prefix(table.as_str(), &file_id);
        let (file, unnamed) = workspace.create(&part_name(files.len(), &file_id))?;
        let protection = Protection::Sealed {
            key: &data_key,
            aad_prefix: &prefix,
        };
        let written = part.write(file, protection)?;
        let checked = check(&unnamed.path, &data_key, &prefix, written)?;
        let path = workspace.publish(unnamed)?;
        rows += written;
        files.push(ManifestFile {
            path: path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("")
                .to_owned(),
            size: checked.size,
            footer_digest: checked.footer_digest,
            file_id,
            algorithm: Algorithm::Gcm,
            aad: ManifestAad::Derived,
            version: None,
            wrapped_keys: vec![WrappedKey {
                key_id: key_id.clone(),
                column: None,
                wrapped: request.kms.wrap(
                    &WrapContext {
                        table: table.as_str(),
                        file: &file_id,
                        key_id: &key_id,
                        column: None,
                    },
                    &data_key,
                )?,
            }],
            chunk_digests: BTreeMap::new(),
        });
    }
    let bytes = files.iter().map(|file| file.size).sum();
    let manifest = Manifest {
        v: VERSION,
        table: table.to_string(),
        snapshot: 1,
        schema: fields(&source.schema),
        columns: columns(&source.schema, &key_id)?,
        layout: Layout::default(),
        files,
        owner: request.owner.public(),
        previous: None,
    };
    let manifest_bytes = manifest.sign(request.owner)?;
    // The files' names must be durable before the manifest's is.
    workspace.sync()?;
    workspace.write(FILE_NAME, &manifest_bytes)?;
    workspace.sync()?;
    workspace.keep();
    Ok(Sealed {
        manifest_bytes,
        rows,
        bytes,
    })
}

/// Writes the same Parquet that [`seal`] writes, but in the clear and without a manifest: what
/// sealing is measured against.
pub fn write_unencrypted(
    inputs: Vec<PathBuf>,
    out_dir: PathBuf,
    progress: &mut dyn FnMut(Progress),
) -> Result<Unencrypted, SealError> {
    let mut source = Source::open(inputs, &CsvOptions::default(), progress)?;
    let mut workspace = Workspace::open(&out_dir)?;
    let mut done = Unencrypted {
        files: Vec::new(),
        rows: 0,
        bytes: 0,
    };
    while let Some(mut part) = source.next_part()? {
        let id = FileId::random().map_err(|_| KeyError::Randomness)?;
        let (file, unnamed) = workspace.create(&part_name(done.files.len(), &id))?;
        done.rows += part.write(file, Protection::Clear)?;
        let path = workspace.publish(unnamed)?;
        done.bytes += std::fs::metadata(&path).map_or(0, |about| about.len());
        done.files.push(path);
    }
    workspace.sync()?;
    workspace.keep();
    Ok(done)
}

/// All inputs, one output file after the other.
struct Source<'a> {
    inputs: std::vec::IntoIter<Input>,
    schema: SchemaRef,
    /// The input that is not at its end yet.
    open: Option<Open>,
    /// Bytes of the inputs that are.
    before: u64,
    total: u64,
    rows: u64,
    progress: &'a mut dyn FnMut(Progress),
}

struct Open {
    batches: super::input::Batches,
    passed: Passed,
    size: u64,
}

/// The next output file's rows.
struct Part<'s, 'a>(&'s mut Source<'a>);

impl<'a> Source<'a> {
    fn open(
        paths: Vec<PathBuf>,
        options: &CsvOptions,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, SealError> {
        let inputs = paths
            .into_iter()
            .map(|path| Input::new(path, options))
            .collect::<Result<Vec<_>, _>>()?;
        let total = inputs.iter().map(|input| input.size).sum();
        let schema = common_schema(&inputs, options, &mut |bytes| {
            progress(Progress {
                stage: Stage::Inspecting,
                bytes,
                total_bytes: total,
                rows: 0,
            });
        })?;
        Ok(Self {
            inputs: inputs.into_iter(),
            schema,
            open: None,
            before: 0,
            total,
            rows: 0,
            progress,
        })
    }

    /// One output file per input, and more of them for an input that fills one.
    fn next_part(&mut self) -> Result<Option<Part<'_, 'a>>, SealError> {
        if self.open.is_none() {
            let Some(input) = self.inputs.next() else {
                return Ok(None);
            };
            let passed = Passed::default();
            self.open = Some(Open {
                batches: input.batches(&self.schema, &passed)?,
                passed,
                size: input.size,
            });
        }
        Ok(Some(Part(self)))
    }
}

impl Part<'_, '_> {
    fn write(&mut self, file: std::fs::File, protection: Protection<'_>) -> Result<u64, SealError> {
        let source = &mut *self.0;
        let Some(open) = &mut source.open else {
            return Err(SealError::NoInput);
        };
        let (before, total, rows_before) = (source.before, source.total, source.rows);
        let (passed, progress) = (Passed::clone(&open.passed), &mut source.progress);
        let mut rows = 0;
        let mut batches = open.batches.by_ref().inspect(|batch| {
            rows += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            progress(Progress {
                stage: Stage::Sealing,
                bytes: before + passed.get(),
                total_bytes: total,
                rows: rows_before + rows,
            });
        });
        let written = write_file(file, &source.schema, &mut batches, protection)?;
        source.rows += written.rows;
        if !written.full {
            source.before += open.size;
            source.open = None;
        }
        Ok(written.rows)
    }
}

fn part_name(at: usize, id: &FileId) -> String {
    let id: String = id.to_string().chars().take(8).collect();
    format!("part-{at:05}-{id}.parquet")
}

fn fields(schema: &Schema) -> Vec<SchemaField> {
    schema
        .fields()
        .iter()
        .map(|field| SchemaField {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        })
        .collect()
}

/// Every leaf column, all under the table's key.
fn columns(schema: &Schema, key_id: &str) -> Result<Vec<ColumnKey>, SealError> {
    let leaves = ArrowSchemaConverter::new().convert(schema)?;
    Ok(leaves
        .columns()
        .iter()
        .map(|leaf| ColumnKey {
            path: leaf.path().string(),
            key_id: Some(key_id.to_owned()),
        })
        .collect())
}
