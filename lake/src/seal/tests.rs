//! Sealing, end to end, and what it refuses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod csv;
mod ipc;
mod layout;
mod variants;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use duckblind_protocol::coded::{Coded as _, Exit};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::file::metadata::ParquetMetaDataReader;

use super::*;
use crate::keys::{OwnerKey, TableKey};
use crate::manifest::{FILE_NAME, VerifiedManifest};
use crate::names::aad_prefix;
use crate::sealed_file::testing::decode;
use crate::sealed_file::{LocalFile, SealedFile};

struct Bench {
    dir: tempfile::TempDir,
    key: TableKey,
    owner: OwnerKey,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: TableKey::generate().unwrap(),
            owner: OwnerKey::generate().unwrap(),
        }
    }

    fn input(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn seal(&self, inputs: &[PathBuf]) -> Result<Sealed, SealError> {
        self.seal_with(inputs, &CsvOptions::default())
    }

    fn seal_with(&self, inputs: &[PathBuf], options: &CsvOptions) -> Result<Sealed, SealError> {
        let options = SealOptions {
            csv: options.clone(),
            ..SealOptions::default()
        };
        self.seal_as(inputs, options)
    }

    fn seal_as(&self, inputs: &[PathBuf], options: SealOptions) -> Result<Sealed, SealError> {
        seal(SealRequest {
            inputs: inputs.to_vec(),
            table: "orders".into(),
            out_dir: self.out(),
            kms: &self.key,
            owner: &self.owner,
            options,
            progress: &mut |_| {},
        })
    }

    /// Seals and reads back through manifest, wrapped key and virtual file.
    fn round_trip(&self, inputs: &[PathBuf]) -> Vec<RecordBatch> {
        self.round_trip_with(inputs, &CsvOptions::default())
    }

    fn round_trip_with(&self, inputs: &[PathBuf], options: &CsvOptions) -> Vec<RecordBatch> {
        let sealed = self.seal_with(inputs, options).unwrap();
        let on_disk = fs::read(self.out().join(FILE_NAME)).unwrap();
        assert_eq!(on_disk, sealed.manifest_bytes);
        let manifest = VerifiedManifest::open(&on_disk, &self.owner.public(), None).unwrap();
        let mut batches = Vec::new();
        for file in &manifest.files {
            let keys = manifest.file_keys(file, &self.key, &mut |_| true).unwrap();
            let path = self.out().join(&file.path);
            batches.push(Self::read_with_parquet_crate(
                &path,
                keys.footer.as_ref().unwrap().expose(),
                &aad_prefix("orders", &file.file_id),
            ));
            let source = LocalFile::new(fs::File::open(&path).unwrap()).unwrap();
            let sealed =
                SealedFile::open(Arc::new(source), manifest.file_spec(file, keys)).unwrap();
            assert_eq!(&decode(sealed), batches.last().unwrap());
        }
        batches
    }

    fn read_with_parquet_crate(path: &Path, key: &[u8], prefix: &[u8]) -> RecordBatch {
        let properties = FileDecryptionProperties::builder(key.to_vec())
            .with_aad_prefix(prefix.to_vec())
            .build()
            .unwrap();
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let file = fs::File::open(path).unwrap();
        collect(ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap())
    }

    /// The error of inputs that must not be sealed; nothing may be left of the attempt.
    fn refused(&self, inputs: &[PathBuf]) -> SealError {
        self.refused_with(inputs, &CsvOptions::default())
    }

    fn refused_with(&self, inputs: &[PathBuf], options: &CsvOptions) -> SealError {
        let error = self.seal_with(inputs, options).unwrap_err();
        assert!(!self.out().exists(), "something is left");
        error
    }

    fn line(&self, name: &str, text: impl AsRef<[u8]>) -> Option<u64> {
        match self.refused(&[self.input(name, text)]) {
            SealError::Malformed { path, line, .. } | SealError::Fields { path, line, .. } => {
                assert!(path.ends_with(name));
                line
            }
            other => panic!("{other:?}"),
        }
    }
}

fn collect<T: parquet::file::reader::ChunkReader + 'static>(
    builder: ParquetRecordBatchReaderBuilder<T>,
) -> RecordBatch {
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn as_text(batch: &RecordBatch) -> Vec<String> {
    let mut text = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new()
        .with_header(true)
        .build(&mut text);
    writer.write(batch).unwrap();
    drop(writer);
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_output_that_cannot_be_written_is_no_bug() {
    let bench = Bench::new();
    let input = bench.input("a.csv", "a\n1\n");
    // In the way of the directory.
    bench.input("out", "a file");
    let error = bench.seal(&[input]).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-LAK-046", Exit::Usage));
    assert!(error.hint().is_some());
    // A full disk shows inside the Parquet writer.
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let batch = RecordBatch::try_from_iter([(
        "a",
        Arc::new(arrow::array::Int64Array::from_iter_values(0..100_000)) as _,
    )])
    .unwrap();
    let schema = batch.schema();
    let error = write_file(
        full,
        &schema,
        &mut std::iter::once(Ok(batch)),
        Protection::Clear,
    )
    .unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-LAK-046", Exit::Usage));
}

#[test]
fn json_lines() {
    let bench = Bench::new();
    let input = bench.input(
        "j.jsonl",
        "{\"a\":1,\"b\":\"x\",\"n\":null}\n\n{\"a\":2.5,\"c\":{\"d\":[1,2]},\"b\":\"y\"}\n",
    );
    let batch = bench.round_trip(&[input]).remove(0);
    let schema = batch.schema();
    assert_eq!(
        schema.field_with_name("a").unwrap().data_type(),
        &DataType::Float64
    );
    assert_eq!(
        schema.field_with_name("n").unwrap().data_type(),
        &DataType::Utf8
    );
    assert!(matches!(
        schema.field_with_name("c").unwrap().data_type(),
        DataType::Struct(_)
    ));
    assert_eq!(batch.num_rows(), 2);
}

#[test]
fn parquet_and_its_unencrypted_twin() {
    let bench = Bench::new();
    let input = bench.input(
        "o.csv",
        (0..200_000).fold("id,v\n".to_owned(), |text, at| {
            text + &format!("{at},{}\n", at % 97)
        }),
    );
    let twin = write_unencrypted(vec![input], bench.dir.path().join("clear"), &mut |_| {}).unwrap();
    assert_eq!(twin.rows, 200_000);
    let clear = fs::File::open(&twin.files[0]).unwrap();
    let clear = ParquetRecordBatchReaderBuilder::try_new(clear).unwrap();
    let groups: Vec<_> = clear
        .metadata()
        .row_groups()
        .iter()
        .map(parquet::file::metadata::RowGroupMetaData::num_rows)
        .collect();
    assert_eq!(groups, [122_880, 77_120]);
    let clear = collect(clear);
    let sealed = bench.round_trip(&twin.files);
    assert_eq!(sealed, [clear]);
    // Nothing of the data is in the sealed files' bytes, nor its column names.
    for entry in fs::read_dir(bench.out()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "parquet") {
            let bytes = fs::read(path).unwrap();
            assert!(
                !bytes
                    .windows(9)
                    .any(|window| window == b"duckblind" || window == b"ARROW:sch")
            );
        }
    }
}

/// The more columns, the less each may take: codec and dictionaries change, the rows do not.
#[test]
fn thousands_of_columns() {
    for (columns, codec, dictionary) in [
        (1024_usize, Compression::ZSTD(ZstdLevel::default()), true),
        (1025, Compression::ZSTD(ZstdLevel::default()), false),
        (2049, Compression::LZ4_RAW, false),
    ] {
        let names: Vec<_> = (0..columns).map(|at| format!("c{at}")).collect();
        let row = |n: usize| -> Vec<_> { (0..columns).map(|at| (at * n).to_string()).collect() };
        let rows: Vec<_> = (0..300).map(|n| row(n).join(",")).collect();
        let bench = Bench::new();
        let csv = bench.input(
            "w.csv",
            format!("{}\n{}\n", names.join(","), rows.join("\n")),
        );
        let batch = bench.round_trip(&[csv]).remove(0);
        assert_eq!(as_text(&batch)[1..], rows);

        let bench = Bench::new();
        let object = |n: usize| {
            let fields = names.iter().zip(row(n));
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            format!("{{{}}}\n", fields.join(","))
        };
        let json = bench.input("w.jsonl", (0..300).map(object).collect::<String>());
        assert_eq!(bench.round_trip(&[json]).remove(0), batch);

        let clear = bench.dir.path().join("clear");
        let input = bench.input(
            "o.csv",
            format!("{}\n{}\n", names.join(","), rows.join("\n")),
        );
        let clear = write_unencrypted(vec![input], clear, &mut |_| {}).unwrap();
        let file = fs::File::open(&clear.files[0]).unwrap();
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .unwrap();
        let chunk = metadata.row_group(0).column(7);
        assert_eq!(
            chunk.dictionary_page_offset().is_some(),
            dictionary,
            "{columns}"
        );
        assert_eq!(
            std::mem::discriminant(&chunk.compression()),
            std::mem::discriminant(&codec),
            "{columns}"
        );
    }
}

#[test]
fn an_input_without_rows() {
    let bench = Bench::new();
    let batches = bench.round_trip(&[bench.input("o.csv", "a,b\n")]);
    assert_eq!(batches[0].num_rows(), 0);
    assert_eq!(batches[0].num_columns(), 2);
}

#[test]
fn malformed_text_names_file_and_line() {
    let bench = Bench::new();
    assert_eq!(bench.line("a.csv", "a,b\n1,2\n3\n"), Some(3));
    assert_eq!(bench.line("a.csv", "a,b\n\n1,\"x\ny\"\n3,4,5\n"), Some(5));
    assert_eq!(bench.line("a.csv", "a,b\n1,\"x\n2,y\n"), Some(2));
    assert_eq!(bench.line("a.csv", "a,b\n1,\"x\"y\n"), Some(2));
    assert_eq!(bench.line("a.csv", b"a,b\n1,2\n1,\xff\n"), Some(3));
    assert_eq!(bench.line("a.csv", ""), Some(1));
    assert_eq!(bench.line("a.csv", "a,\n1,2\n"), Some(1));
    assert_eq!(bench.line("a.csv", "a,A\n1,2\n"), None);
    assert_eq!(bench.line("a.json", "{\"a\":1}\n{\"a\":\n"), Some(2));
    assert_eq!(bench.line("a.json", "[1]\n"), Some(1));
    assert_eq!(
        bench.line("a.json", "{\"a\":1}\n\n{\"a\":{\"b\":1}}\n"),
        Some(3)
    );
    assert_eq!(
        bench.line("a.json", "{\"a\":18446744073709551615}\n"),
        Some(1)
    );
    assert_eq!(bench.line("a.parquet", "PAR1"), None);
}

#[test]
fn errors_quote_no_values() {
    let bench = Bench::new();
    let error = bench.refused(&[bench.input("a.csv", "a,b\n1,canary\ncanary\n")]);
    assert!(!duckblind_protocol::coded::render(&error).contains("canary"));
    let error =
        bench.refused(&[bench.input("a.json", "{\"a\":\"canary\"}\n{\"a\":{\"x\":\"canary\"}}\n")]);
    assert!(!duckblind_protocol::coded::render(&error).contains("canary"));
    assert_eq!(error.code(), "DB-LAK-042");
}

#[test]
fn a_quote_never_closed_does_not_fill_the_memory() {
    let bench = Bench::new();
    let mut text = b"a,b\n1,2\n3,\"".to_vec();
    text.resize(20 << 20, b'x');
    assert_eq!(bench.line("a.csv", &text), Some(3));
    let mut text = b"{\"a\":1}\n{\"a\":\"".to_vec();
    text.resize(20 << 20, b'x');
    assert_eq!(bench.line("a.json", &text), Some(2));
}

#[test]
fn inputs_that_do_not_fit_together() {
    let bench = Bench::new();
    let one = bench.input("1.csv", "a,b\n1,x\n");
    let two = bench.input("2.csv", "a,c\n1,x\n");
    let json = bench.input("3.json", "{\"a\":\"x\",\"b\":\"y\"}\n");
    assert!(matches!(
        bench.refused(&[one.clone(), two]),
        SealError::Schema { .. }
    ));
    assert!(matches!(
        bench.refused(&[one.clone(), json]),
        SealError::Schema { .. }
    ));
    assert!(matches!(bench.refused(&[]), SealError::NoInput));
    assert!(matches!(
        bench.refused(&[bench.dir.path().join("none.csv")]),
        SealError::Input { .. }
    ));
    assert!(matches!(
        bench.refused(&[bench.input("x.txt", "")]),
        SealError::Format { .. }
    ));
    assert!(matches!(
        bench.refused(&[bench.input("e.parquet", "PAREPARE")]),
        SealError::Encrypted { .. }
    ));
    let case = bench.refused(&[bench.input("c.jsonl", "{\"s\":{\"name\":1,\"NAME\":2}}\n")]);
    assert!(matches!(case, SealError::AmbiguousPath { .. }), "{case}");
    bench.seal(std::slice::from_ref(&one)).unwrap();
    let before = fs::read_dir(bench.out()).unwrap().count();
    assert!(matches!(bench.seal(&[one]), Err(SealError::Exists { .. })));
    assert_eq!(fs::read_dir(bench.out()).unwrap().count(), before);
}

#[test]
fn progress_reaches_the_end() {
    let bench = Bench::new();
    let text = (0..5000).fold("id\n".to_owned(), |text, at| text + &format!("{at}\n"));
    let mut last = Vec::new();
    let mut progress = |report: Progress| {
        last.retain(|known: &Progress| known.stage != report.stage);
        last.push(report);
    };
    seal(SealRequest {
        inputs: vec![bench.input("o.csv", &text)],
        table: "orders".into(),
        out_dir: bench.out(),
        kms: &bench.key,
        owner: &bench.owner,
        options: SealOptions::default(),
        progress: &mut progress,
    })
    .unwrap();
    let total = text.len() as u64;
    assert_eq!(
        last,
        [
            Progress {
                stage: Stage::Inspecting,
                bytes: total,
                total_bytes: total,
                rows: 0
            },
            Progress {
                stage: Stage::Sealing,
                bytes: total,
                total_bytes: total,
                rows: 5000
            },
        ]
    );
}
