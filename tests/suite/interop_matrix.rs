//! Every variant of Parquet encryption that pyarrow writes, read through the engine and compared in full with the same
//! rows in the clear; and what must not be read: wrong keys and prefixes, bytes that nothing speaks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_engine::Engine;
use duckblind_lake::keys::{DataKey, FileKeys};
use duckblind_lake::sealed_file::{AadPrefix, ColumnRules, FileSpec, LocalFile, SealedFile};
use duckblind_protocol::ids::Digest;
use duckblind_tests::plain::Plain;
use duckblind_tests::running;
use duckblind_tests::sealed::{answer, engine};
use duckblind_tests::stack::path;
use serde::Deserialize;

use crate::interop::{folder, run};

const MEMORY: u64 = 256 << 20;

/// What `pyarrow_matrix.py` says of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    file: PathBuf,
    twin: PathBuf,
    ctr: bool,
    aad: String,
    prefix: String,
    digests: BTreeMap<String, Vec<Digest>>,
    footer: String,
    columns: BTreeMap<String, String>,
    clear: BTreeSet<String>,
}

impl Case {
    /// All that there is to know.
    fn spec(&self) -> FileSpec {
        let key = |hex: &String| DataKey::from_slice(&hex::decode(hex).unwrap()).unwrap();
        let columns = self.columns.iter();
        FileSpec {
            keys: FileKeys {
                footer: Some(key(&self.footer)),
                columns: columns
                    .map(|(path, hex)| (path.clone(), key(hex)))
                    .collect(),
            },
            algorithm: None,
            aad_prefix: match self.aad.as_str() {
                "none" => AadPrefix::None,
                "stored" => AadPrefix::Stored,
                _ => AadPrefix::Supplied(hex::decode(&self.prefix).unwrap()),
            },
            footer_digest: None,
            size: None,
            columns: ColumnRules {
                clear: self.clear.clone(),
                key_ids: (self.columns.keys())
                    .map(|path| (path.clone(), format!("id-of-{path}")))
                    .collect(),
                own_keys: self.columns.keys().cloned().collect(),
                // A manifest holds those of chunks without tags and of no others.
                digests: (self.digests.iter())
                    .filter(|(path, _)| self.ctr || self.clear.contains(*path))
                    .map(|(path, digests)| (path.clone(), digests.clone()))
                    .collect(),
                accept_unauthenticated: BTreeSet::new(),
            },
        }
    }

    fn open(&self, spec: FileSpec) -> anyhow::Result<Engine> {
        let source = LocalFile::new(File::open(&self.file)?)?;
        let mut engine = engine(1, MEMORY)?;
        engine.add_table("t", vec![SealedFile::open(Arc::new(source), spec)?])?;
        Ok(engine)
    }

    /// What goes wrong with this specification when all is read.
    #[track_caller]
    fn refused(&self, spec: FileSpec, why: &str) -> String {
        let read = self
            .open(spec)
            .and_then(|engine| answer(&engine, "select * from t"));
        match read {
            Ok(_) => panic!("{}: {why}", self.name),
            Err(error) => format!("{error:?}"),
        }
    }

    fn is_empty(&self) -> bool {
        self.twin.ends_with("empty.clear")
    }
}

/// All columns, nested ones as text; some rows; one column.
fn queries(twin: &Path) -> [&'static str; 3] {
    if twin.ends_with("nested.clear") {
        [
            "select id, tags::varchar as t, place::varchar as p, items::varchar as i from t",
            "select id, place.y as y, items[1].sku as s from t where id between 700 and 712",
            "select sum(len(tags)) as n, max(place.x) as x from t",
        ]
    } else {
        [
            "select * from t",
            "select id, word, price from t where id between 700 and 712 and word = 'grace'",
            "select count(*) as n, count(ratio) as r, max(day) as d, sum(price) as p from t where yes",
        ]
    }
}

fn cases(dir: &Path) -> Vec<Case> {
    run("pyarrow_matrix.py", &[path(dir)])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn we_read_every_variant_that_pyarrow_writes() {
    let _test = running::test("interop matrix");
    let dir = folder();
    let cases = cases(dir.path());
    assert!(cases.len() >= 100);
    for case in &cases {
        let plain = Plain::open(1, MEMORY).unwrap();
        plain
            .add_table("t", std::slice::from_ref(&case.twin))
            .unwrap();
        let engine = case
            .open(case.spec())
            .unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        for sql in queries(&case.twin) {
            let got =
                answer(&engine, sql).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
            got.must_equal(&plain.answer(sql).unwrap(), &[])
                .unwrap_or_else(|error| panic!("{}: {sql}: {error}", case.name));
        }
        refusals(case);
    }
}

fn refusals(case: &Case) {
    let mut spec = case.spec();
    let mut key = hex::decode(&case.footer).unwrap();
    key[0] ^= 1;
    spec.keys.footer = Some(DataKey::from_slice(&key).unwrap());
    case.refused(spec, "a wrong footer key was taken");
    let mut spec = case.spec();
    spec.aad_prefix = AadPrefix::Supplied(b"another/table".to_vec());
    case.refused(spec, "a wrong prefix was taken");
    if case.is_empty() {
        return;
    }
    for path in &case.clear {
        let mut spec = case.spec();
        spec.columns.clear.remove(path);
        let said = case.refused(spec, "a column in the clear was taken for encrypted");
        assert!(said.contains(path), "{}: {said}", case.name);
    }
    let unpinned = case.spec().columns.digests;
    for path in unpinned.keys().take(2) {
        let mut spec = case.spec();
        spec.columns.digests.remove(path);
        let said = case.refused(spec, "a chunk that nothing speaks for was read");
        assert!(said.contains(path), "{}: {said}", case.name);

        let mut spec = case.spec();
        spec.columns.digests.remove(path);
        spec.columns.accept_unauthenticated.insert(path.clone());
        let engine = case.open(spec).unwrap();
        let [all, ..] = queries(Path::new(&case.twin));
        answer(&engine, all).unwrap();

        let mut spec = case.spec();
        spec.columns.digests.get_mut(path).unwrap()[0] = Digest::of(b"something else");
        case.refused(spec, "a chunk that differs from its digest was read");
    }
    for (path, key) in case.columns.iter().take(2) {
        let mut spec = case.spec();
        spec.keys.columns.remove(path);
        let said = case.refused(spec, "a column was read without its key");
        let named = said.contains(path) && said.contains(&format!("id-of-{path}"));
        assert!(named, "{}: {said}", case.name);
        assert!(!said.contains(key), "a key in an error");
    }
    without_a_key(case);
}

/// A column whose key is missing only fails the queries that touch it.
fn without_a_key(case: &Case) {
    if case.columns.contains_key("word") {
        let mut spec = case.spec();
        spec.keys.columns.remove("word");
        let engine = case.open(spec).unwrap();
        answer(&engine, "select id, price, day from t").unwrap();
        assert!(answer(&engine, "select max(word) as w from t where id > 5").is_err());
        answer(&engine, "select count(*) as n from t where id > 5").unwrap();
    }
}
