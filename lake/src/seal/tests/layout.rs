//! Sorted and partitioned tables.

use arrow::array::{Array as _, AsArray as _, DictionaryArray, Float64Array, Int64Array};
use arrow::array::{StringArray, TimestampNanosecondArray};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Int32Type;
use duckblind_protocol::ids::FileId;
use proptest::prelude::*;

use super::*;
use crate::manifest::{Layout, ManifestFile};
use crate::seal::sort::{Budget, sorted};

fn layout(partition_by: &[&str], sort_by: &[&str]) -> Layout {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Layout {
        partition_by: names(partition_by),
        sort_by: names(sort_by),
        ..Layout::default()
    }
}

fn plan(rows: &RecordBatch, layout: Layout) -> Result<Plan, SealError> {
    let table = "orders".parse().unwrap();
    Plan::new(&table, rows.schema(), &Encryption::Uniform, layout)
}

/// Rows with equal keys, nulls, floats of all kinds and dictionaries; `at` tells them apart.
fn rows(count: usize, seed: u64) -> RecordBatch {
    let mut state = seed | 1;
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 33) % below
    };
    let words: StringArray = (0..count)
        .map(|_| match next(5) {
            0 => None,
            n => Some("wörd".repeat(usize::try_from(n).unwrap() * 3)),
        })
        .collect();
    let floats: Float64Array = (0..count)
        .map(|_| match next(6) {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(-0.0),
            3 => Some(0.0),
            _ => Some(f64::from(u32::try_from(next(9)).unwrap()) - 4.0),
        })
        .collect();
    let kinds: DictionaryArray<Int32Type> = (0..count)
        .map(|_| {
            ["b", "a", "c"]
                .get(usize::try_from(next(4)).unwrap())
                .copied()
        })
        .collect();
    let at = Int64Array::from_iter_values(0..i64::try_from(count).unwrap());
    RecordBatch::try_from_iter_with_nullable([
        ("word", Arc::new(words) as _, true),
        ("float", Arc::new(floats) as _, true),
        ("kind", Arc::new(kinds) as _, true),
        ("at", Arc::new(at) as _, false),
    ])
    .unwrap()
}

/// What a simple sort in memory makes of them; rows stay in order where the columns are equal.
fn simply_sorted(rows: &RecordBatch, by: &[&str]) -> RecordBatch {
    let options = Some(SortOptions::default().asc().nulls_last());
    let columns: Vec<_> = by
        .iter()
        .chain(&["at"])
        .map(|name| SortColumn {
            values: Arc::clone(rows.column_by_name(name).unwrap()),
            options,
        })
        .collect();
    take_record_batch(rows, &lexsort_to_indices(&columns, None).unwrap()).unwrap()
}

/// Through `sorted` in batches of `batch` rows.
fn sorted_by(rows: &RecordBatch, by: &[&str], batch: usize, budget: Budget) -> RecordBatch {
    let dir = tempfile::tempdir().unwrap();
    let mut workspace = Workspace::open(dir.path()).unwrap();
    let plan = plan(rows, layout(&[], by)).unwrap();
    let starts = (0..rows.num_rows()).step_by(batch);
    let mut batches = starts.map(|start| Ok(rows.slice(start, batch.min(rows.num_rows() - start))));
    let sorted = sorted(&mut workspace, &plan, &mut batches, budget).unwrap();
    let sorted: Vec<_> = sorted.map(Result::unwrap).collect();
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "spilled under a name"
    );
    arrow::compute::concat_batches(&rows.schema(), &sorted).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// From one run in memory to several passes over many.
    #[test]
    fn sorting_with_any_budget(
        count in 0_usize..700,
        seed: u64,
        batch in 1_usize..90,
        run in prop::sample::select(vec![1, 3000, 20_000, 1 << 30]),
        block in prop::sample::select(vec![1, 500, 5000]),
        merge in prop::sample::select(vec![1, 20_000, 1 << 30]),
        by in prop::sample::select(vec![
            vec!["word"], vec!["float", "word"], vec!["kind", "float"], vec!["at"],
        ]),
    ) {
        let rows = rows(count, seed);
        let sorted = sorted_by(&rows, &by, batch, Budget { run, block, merge });
        prop_assert_eq!(sorted, simply_sorted(&rows, &by));
    }
}

impl Bench {
    fn parts(
        &self,
        rows: &RecordBatch,
        layout: Layout,
    ) -> Result<(Plan, Vec<ManifestFile>), SealError> {
        let plan = plan(rows, layout)?;
        let mut workspace = Workspace::open(&self.out())?;
        let mut batches = (0..rows.num_rows())
            .step_by(100)
            .map(|start| Ok(rows.slice(start, 100.min(rows.num_rows() - start))));
        let files = write_parts(&mut workspace, &plan, &self.key, &mut batches, 0)?;
        workspace.keep();
        Ok((plan, files))
    }

    fn read_part(&self, file: &ManifestFile) -> RecordBatch {
        let wrapped = &file.wrapped_keys[0];
        let context = crate::keys::WrapContext {
            table: "orders",
            file: &file.file_id,
            key_id: "orders-v1",
            column: None,
        };
        let key = crate::keys::Kms::unwrap(&self.key, &context, &wrapped.wrapped).unwrap();
        let path = self.out().join(&file.path);
        Self::read_with_parquet_crate(&path, key.expose(), &aad_prefix("orders", &file.file_id))
    }
}

#[test]
fn a_directory_for_every_value() {
    let bench = Bench::new();
    let rows = rows(3000, 7);
    let (_, files) = bench
        .parts(&rows, layout(&["kind", "word"], &["float"]))
        .unwrap();
    let mut folders: Vec<_> = files
        .iter()
        .map(|file| file.path.rsplit_once('/').unwrap().0.to_owned())
        .collect();
    let word = |n: usize| format!("word={}", "w=C3=B6rd".repeat(n * 3));
    let expected: Vec<_> = ["a", "b", "c", "__HIVE_DEFAULT_PARTITION__"]
        .into_iter()
        .flat_map(|kind| {
            [
                word(1),
                word(2),
                word(3),
                word(4),
                "word=__HIVE_DEFAULT_PARTITION__".to_owned(),
            ]
            .map(|word| format!("kind={kind}/{word}"))
        })
        .collect();
    folders.dedup();
    assert_eq!(folders, expected);
    let expected = simply_sorted(&rows, &["kind", "word", "float"]);
    let parts: Vec<_> = files.iter().map(|file| bench.read_part(file)).collect();
    for part in &parts {
        let kinds = part.column_by_name("kind").unwrap();
        assert_eq!(
            arrow::compute::partition(&[Arc::clone(kinds)])
                .unwrap()
                .len(),
            1
        );
    }
    let all = arrow::compute::concat_batches(&parts[0].schema(), &parts).unwrap();
    assert_eq!(
        all.column_by_name("at").unwrap(),
        expected.column_by_name("at").unwrap()
    );
    assert_eq!(all.num_rows(), 3000);
}

#[test]
fn a_table_of_partitions_through_the_manifest() {
    let bench = Bench::new();
    let text = "day,v\n2024-02-01,1\n2024-01-31,2\n,3\n2024-02-01,0\n";
    let options = SealOptions {
        layout: layout(&["day"], &["v"]),
        ..SealOptions::default()
    };
    let sealed = bench
        .seal_as(&[bench.input("t.csv", text)], options)
        .unwrap();
    let manifest =
        VerifiedManifest::open(&sealed.manifest_bytes, &bench.owner.public(), None).unwrap();
    let parts: Vec<_> = manifest
        .files
        .iter()
        .map(|file| {
            let folder = file.path.split('/').next().unwrap().to_owned();
            (folder, as_text(&bench.read_part(file))[1..].to_vec())
        })
        .collect();
    let part = |folder: &str, rows: &[&str]| {
        (
            folder.to_owned(),
            rows.iter().map(|row| (*row).to_owned()).collect(),
        )
    };
    assert_eq!(
        parts,
        [
            part("day=2024-01-31", &["2024-01-31,2"]),
            part("day=2024-02-01", &["2024-02-01,0", "2024-02-01,1"]),
            part("day=__HIVE_DEFAULT_PARTITION__", &[",3"]),
        ]
    );
    assert_eq!(sealed.rows, 4);
}

#[test]
fn layouts_that_cannot_be() {
    let bench = Bench::new();
    let rows = rows(10, 1);
    let refused = |layout| bench.parts(&rows, layout).err().unwrap();
    for (layout, code) in [
        (layout(&["Kind"], &[]), "DB-LAK-052"),
        (layout(&[], &["nothing"]), "DB-LAK-052"),
        (layout(&["float"], &[]), "DB-LAK-054"),
        (layout(&["kind", "kind"], &[]), "DB-LAK-054"),
        (layout(&[], &["at", "at"]), "DB-LAK-054"),
    ] {
        assert_eq!(refused(layout).code(), code);
    }
    let nested = bench.input("t.jsonl", "{\"a\":{\"b\":1},\"c\":[1]}\n");
    for (partition_by, sort_by) in [(&["a"][..], &[][..]), (&[], &["c"]), (&["a.b"], &[])] {
        let options = SealOptions {
            layout: layout(partition_by, sort_by),
            ..SealOptions::default()
        };
        assert!(
            bench
                .seal_as(std::slice::from_ref(&nested), options)
                .is_err()
        );
    }
    let options = SealOptions {
        encryption: Encryption::Columns {
            columns: vec!["b".into(), "a".into()],
            rest: Rest::TableKey,
        },
        layout: layout(&["a"], &[]),
        ..SealOptions::default()
    };
    let input = bench.input("t.csv", "a,b\n1,2\n");
    let error = bench.seal_as(&[input], options).unwrap_err();
    assert!(matches!(&error, SealError::PartitionEncrypted { name } if name == "a"));
    assert_eq!((error.code(), error.exit()), ("DB-LAK-055", Exit::Usage));
    assert!(!bench.out().exists());
}

#[test]
fn nothing_is_left_of_partitions_after_an_error() {
    let bench = Bench::new();
    // Sorted last, so that directories exist by then.
    let text = format!("a\nx\ny\n{}\n", "z".repeat(300));
    let options = SealOptions {
        layout: layout(&["a"], &[]),
        ..SealOptions::default()
    };
    let input = bench.input("t.csv", text);
    let error = bench
        .seal_as(std::slice::from_ref(&input), options.clone())
        .unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("DB-LAK-056", Exit::Unsupported)
    );
    assert!(!duckblind_protocol::coded::render(&error).contains("zzz"));
    assert!(!bench.out().exists());
    // What was there stays.
    fs::create_dir_all(bench.out().join("a=x")).unwrap();
    bench.seal_as(&[input], options).unwrap_err();
    let left: Vec<_> = fs::read_dir(bench.out())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["a=x"]);
    assert_eq!(fs::read_dir(bench.out().join("a=x")).unwrap().count(), 0);
}

#[test]
fn instants_name_directories_in_utc() {
    let bench = Bench::new();
    let instants = TimestampNanosecondArray::from(vec![Some(1_700_000_000_000_000_001), None])
        .with_timezone("Europe/Berlin");
    let rows =
        RecordBatch::try_from_iter_with_nullable([("t", Arc::new(instants) as _, true)]).unwrap();
    let (_, files) = bench.parts(&rows, layout(&["t"], &[])).unwrap();
    assert!(
        files[0]
            .path
            .starts_with("t=2023-11-14T22=3A13=3A20.000000001Z/"),
        "{}",
        files[0].path
    );
    assert_eq!(files.len(), 2);
    let ids: std::collections::BTreeSet<FileId> = files.iter().map(|file| file.file_id).collect();
    assert_eq!(ids.len(), 2);
    assert!(bench.read_part(&files[1]).column(0).is_null(0));
    assert!(rows.column(0).as_any_dictionary_opt().is_none());
}
