//! A query that needs little decrypts little: counted, not timed.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use duckblind_engine::VirtualFile;
use duckblind_lake::keys::DataKey;
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LakeError, LocalFile, SealedFile};
use duckblind_tests::running;
use duckblind_tests::sealed::{answer, engine};
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;

use crate::interop::folder;

const KEY: [u8; 32] = [0x42; 32];
const GROUPS: i64 = 1000;
const ROWS: i64 = 100;

/// One file under two owners: the engine, and the test that asks it afterwards.
struct Shared(Arc<SealedFile>);

impl VirtualFile for Shared {
    fn len(&self) -> u64 {
        self.0.virtual_len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        self.0.read_at(buffer, offset)
    }

    fn version_tag(&self) -> &str {
        self.0.version_tag()
    }
}

/// 1,000 row groups of 100 rows; `id` ascends.
fn write(file: File) {
    let encryption = FileEncryptionProperties::builder(KEY.to_vec())
        .build()
        .unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(usize::try_from(ROWS).unwrap()))
        .with_file_encryption_properties(encryption)
        .build();
    let ids: Vec<i64> = (0..GROUPS * ROWS).collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        (
            "word",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|id| format!("w{id}")),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!(
        i64::try_from(writer.close().unwrap().num_row_groups()),
        Ok(GROUPS)
    );
}

/// What one query on a freshly opened file costs: visits to chunks, pages.
fn cost(path: &std::path::Path, sql: &str, expected: &str) -> (u64, u64) {
    let source = LocalFile::new(File::open(path).unwrap()).unwrap();
    let spec = FileSpec::uniform(DataKey::from_slice(&KEY).unwrap(), AadPrefix::None);
    let file = Arc::new(SealedFile::open(Arc::new(source), spec).unwrap());
    let mut engine = engine(1, 256 << 20).unwrap();
    engine
        .add_table("t", vec![Shared(Arc::clone(&file))])
        .unwrap();
    let before = file.counters();
    let answer = answer(&engine, sql).unwrap();
    assert_eq!(answer.single().unwrap().to_string(), expected, "{sql}");
    let after = file.counters();
    (after.chunks - before.chunks, after.pages - before.pages)
}

#[test]
fn a_point_query_over_a_thousand_row_groups() {
    let _test = running::test("pruning");
    let dir = folder();
    let path = dir.path().join("t.parquet");
    write(File::create(&path).unwrap());

    // By statistics: one group of a thousand, each column a dictionary page and a data page.
    let (chunks, pages) = cost(&path, "select word from t where id = 77777", "w77777");
    assert!(chunks <= 6 && pages <= 4, "{chunks} visits, {pages} pages");

    // And what needs everything gets everything.
    let (_, pages) = cost(&path, "select count(distinct word) as n from t", "100000");
    assert!(pages >= 1000, "{pages} pages");
    let (chunks, _) = cost(&path, "select count(*) as n from t", "100000");
    assert_eq!(chunks, 0, "rows are counted by the footer alone");
}
