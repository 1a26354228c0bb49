//! Tables for tests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

use super::rows::{self, TableRows};
use super::{At, Change, Table};
use crate::keys::{KeyFile, KeyProvider, OwnerKey};
use crate::manifest::{Manifest, VERSION};
use crate::names::KeyId;
use crate::seal::{CsvOptions, Plan, SealOptions, Source, write_parts};

/// A table, its owner and its keys, in a directory of their own.
pub(crate) struct Made {
    root: TempDir,
    pub(crate) owner: OwnerKey,
    /// Of versions 1 to 3.
    pub(crate) keys: KeyProvider,
}

impl Made {
    /// Table `t` of one file per text, whose lines are JSON.
    pub(crate) fn new(inputs: &[&str], options: SealOptions) -> Self {
        let made = Self::keys_only();
        made.seal(inputs, options);
        made
    }

    pub(crate) fn keys_only() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut keys = KeyFile::load_or_empty(&root.path().join("keys.json")).unwrap();
        for version in [1, 2, 3] {
            let columns =
                ["secret", "n", "w", "s.a", "s.b"].map(|path| KeyId::of_column("t", version, path));
            keys.generate(&columns).unwrap();
            keys.generate(&[KeyId::of_table("t", version)]).unwrap();
        }
        Self {
            root,
            owner: OwnerKey::generate().unwrap(),
            keys: KeyProvider::new([keys]),
        }
    }

    fn seal(&self, inputs: &[&str], options: SealOptions) {
        let mut change = Change::create(&self.dir(), &self.owner).unwrap();
        let mut plan: Option<Plan> = None;
        let mut files = Vec::new();
        for input in self.inputs(inputs) {
            let target = plan.as_ref().map(|plan| Arc::clone(plan.schema()));
            let csv = CsvOptions::default();
            let mut progress = |_| {};
            let mut source =
                Source::open(vec![input], &csv, target.as_ref(), &mut progress).unwrap();
            let plan = plan.get_or_insert_with(|| {
                let schema = Arc::clone(source.schema());
                let table = "t".parse().unwrap();
                Plan::new(&table, schema, &options.encryption, options.layout.clone()).unwrap()
            });
            let workspace = change.workspace();
            let part = write_parts(workspace, plan, &self.keys, &mut source, files.len());
            files.extend(part.unwrap());
        }
        let plan = plan.unwrap();
        let manifest = Manifest {
            v: VERSION,
            table: "t".into(),
            snapshot: 1,
            schema: plan.fields(),
            columns: plan.columns().to_vec(),
            layout: plan.layout().clone(),
            files,
            owner: self.owner.public(),
            previous: None,
        };
        change.commit(manifest).unwrap();
    }

    /// The texts as files of JSON lines.
    pub(crate) fn inputs(&self, texts: &[&str]) -> Vec<PathBuf> {
        let name = |at| self.root.path().join(format!("in-{at}.jsonl"));
        let inputs = texts.iter().enumerate().map(|(at, text)| {
            fs::write(name(at), text).unwrap();
            name(at)
        });
        inputs.collect()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("table")
    }

    pub(crate) fn open(&self, at: At) -> Table {
        Table::open(&self.dir(), &self.owner.public(), at).unwrap()
    }

    /// Bytes and names of everything in the table's directory, the lock left out.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut tree = BTreeMap::new();
        walk(&self.dir(), &mut tree);
        tree.retain(|path, _| !path.ends_with(super::LOCK_NAME));
        tree
    }

    /// All rows of a snapshot, in order.
    pub(crate) fn rows(&self, table: &Table) -> RecordBatch {
        let schema = rows::schema(table, &self.keys).unwrap();
        let files = &table.manifest().files;
        let all = TableRows::new(table, &self.keys, Arc::clone(&schema), files);
        let batches: Vec<_> = all.map(Result::unwrap).collect();
        arrow::compute::concat_batches(&schema, &batches).unwrap()
    }
}

fn walk(dir: &Path, to: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, to);
        } else {
            to.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// Copies a directory with all in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
