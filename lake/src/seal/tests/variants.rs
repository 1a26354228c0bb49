//! Every variant of sealing, read back.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use duckblind_protocol::ids::Digest;
use parquet::file::column_crypto_metadata::ColumnCryptoMetaData;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};

use super::*;
use crate::manifest::{AadStorage, Layout, ManifestAad, ManifestFile};

const ROWS: i64 = 5000;

fn input(bench: &Bench) -> PathBuf {
    let text = (0..ROWS).fold(
        "{\"id\":-1,\"secret\":\"canary-low\",\"open\":\"visible-low\",\"deep\":{\"a\":[1],\"b\":\"canary-deep\"}}\n".to_owned(),
        |text, at| {
            text + &format!(
                "{{\"id\":{at},\"secret\":\"canary {at}\",\"open\":\"visible {}\",\"deep\":{{\"a\":[{at}],\"b\":\"canary {at}\"}}}}\n",
                at % 7
            )
        },
    );
    bench.input("t.jsonl", text)
}

fn options(
    columns: Option<(&[&str], Rest)>,
    plaintext_footer: bool,
    aad: AadStorage,
) -> SealOptions {
    SealOptions {
        encryption: match columns {
            None => Encryption::Uniform,
            Some((columns, rest)) => Encryption::Columns {
                columns: columns.iter().map(|name| (*name).to_owned()).collect(),
                rest,
            },
        },
        layout: Layout {
            plaintext_footer,
            aad,
            ..Layout::default()
        },
        ..SealOptions::default()
    }
}

/// The key id of every leaf column that is not under the table's key; none for one in the clear.
fn expected(columns: Option<(&[&str], Rest)>) -> BTreeMap<String, Option<String>> {
    ["id", "secret", "open", "deep.a.list.item", "deep.b"]
        .into_iter()
        .map(|path| {
            let key = match columns {
                Some((own, _))
                    if own.contains(&path) || own.contains(&path.split('.').next().unwrap()) =>
                {
                    Some(format!("orders-v1:{path}"))
                }
                Some((_, Rest::Clear)) => None,
                _ => Some("orders-v1".to_owned()),
            };
            (path.to_owned(), key)
        })
        .collect()
}

#[test]
fn round_trips_of_all_variants() {
    let columns: [Option<(&[&str], Rest)>; 6] = [
        None,
        Some((&["secret", "deep"], Rest::Clear)),
        Some((&["secret", "deep"], Rest::TableKey)),
        Some((&["deep.b", "secret", "deep"], Rest::Clear)),
        Some((&["id", "secret", "open", "deep"], Rest::Clear)),
        Some((&[], Rest::TableKey)),
    ];
    let mut all = None;
    for columns in columns {
        for plaintext_footer in [false, true] {
            for aad in [AadStorage::Supplied, AadStorage::Stored, AadStorage::None] {
                let bench = Bench::new();
                let options = options(columns, plaintext_footer, aad);
                let sealed = bench.seal_as(&[input(&bench)], options).unwrap();
                let manifest =
                    VerifiedManifest::open(&sealed.manifest_bytes, &bench.owner.public(), None)
                        .unwrap();
                let keys: BTreeMap<_, _> = manifest
                    .columns
                    .iter()
                    .map(|column| (column.path.clone(), column.key_id.clone()))
                    .collect();
                assert_eq!(keys, expected(columns));
                assert_eq!(manifest.files.len(), 1);
                let file = &manifest.files[0];
                let bytes = fs::read(bench.out().join(&file.path)).unwrap();
                look_at(&manifest, file, &bytes);
                let batch = read(&bench, &manifest, file, &bytes);
                assert_eq!(batch.num_rows(), usize::try_from(ROWS + 1).unwrap());
                let keys = manifest.file_keys(file, &bench.key, &mut |_| true).unwrap();
                let spec = manifest.file_spec(file, keys);
                assert_eq!(
                    decode(SealedFile::open(Arc::new(bytes), spec).unwrap()),
                    batch
                );
                assert_eq!(all.get_or_insert_with(|| batch.clone()), &batch);
            }
        }
    }
}

/// Reads with the `parquet` crate, as other programs do.
fn read(
    bench: &Bench,
    manifest: &VerifiedManifest,
    file: &ManifestFile,
    bytes: &[u8],
) -> RecordBatch {
    let keys = manifest.file_keys(file, &bench.key, &mut |_| true).unwrap();
    let footer = keys.footer.unwrap();
    let mut properties = FileDecryptionProperties::builder(footer.expose().to_vec());
    let table_key = "orders-v1".to_owned();
    if manifest
        .columns
        .iter()
        .any(|column| column.key_id.as_ref() != Some(&table_key))
    {
        for column in &manifest.columns {
            let key = keys.columns.get(&column.path).unwrap_or(&footer);
            if column.key_id.is_some() {
                properties = properties.with_column_key(&column.path, key.expose().to_vec());
            }
        }
    }
    if manifest.layout.aad == AadStorage::Supplied {
        properties = properties.with_aad_prefix(aad_prefix("orders", &file.file_id));
    }
    let options =
        ArrowReaderOptions::new().with_file_decryption_properties(properties.build().unwrap());
    let bytes = Bytes::copy_from_slice(bytes);
    collect(ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap())
}

/// What everybody sees of the file.
fn look_at(manifest: &VerifiedManifest, file: &ManifestFile, bytes: &[u8]) {
    let layout = &manifest.layout;
    let magic: &[u8] = if layout.plaintext_footer {
        b"PAR1"
    } else {
        b"PARE"
    };
    assert!(bytes.starts_with(magic) && bytes.ends_with(magic));
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(!holds("canary"));
    let key_of = |path: &str| {
        let column = manifest.columns.iter().find(|column| column.path == path);
        column.unwrap().key_id.clone()
    };
    // Statistics of a column in the clear are only seen where the footer is.
    let open_seen = key_of("open").is_none();
    assert_eq!(holds("ARROW:schema"), layout.plaintext_footer);
    let prefix = String::from_utf8(aad_prefix("orders", &file.file_id)).unwrap();
    assert_eq!(holds(&prefix), layout.aad == AadStorage::Stored);
    assert_eq!(
        file.aad,
        match layout.aad {
            AadStorage::None => ManifestAad::None,
            _ => ManifestAad::Derived,
        }
    );
    if layout.plaintext_footer {
        assert_eq!(holds("visible-low"), open_seen);
    }
    assert_eq!(
        file.chunk_digests.keys().cloned().collect::<Vec<_>>(),
        manifest
            .columns
            .iter()
            .filter(|column| column.key_id.is_none())
            .map(|column| column.path.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    if layout.plaintext_footer {
        let length = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap());
        let start = bytes.len() - 8 - usize::try_from(length).unwrap();
        let metadata =
            ParquetMetaDataReader::decode_metadata(&bytes[start..bytes.len() - 8 - 28]).unwrap();
        for chunk in metadata
            .row_groups()
            .iter()
            .flat_map(RowGroupMetaData::columns)
        {
            let path = chunk.column_path().string();
            assert_eq!(
                chunk.statistics().is_some(),
                key_of(&path).is_none(),
                "{path}"
            );
            let (start, length) = chunk.byte_range();
            let stored =
                &bytes[usize::try_from(start).unwrap()..][..usize::try_from(length).unwrap()];
            if let Some(digests) = file.chunk_digests.get(&path) {
                assert_eq!(digests.0, [Digest::of(stored)]);
            }
            if let Some(ColumnCryptoMetaData::ENCRYPTION_WITH_COLUMN_KEY(own)) =
                chunk.crypto_metadata()
            {
                let metadata: serde_json::Value =
                    serde_json::from_slice(own.key_metadata.as_ref().unwrap()).unwrap();
                assert_eq!(
                    metadata,
                    serde_json::json!({
                        "keyMaterialType": "PKMT1", "internalStorage": true, "isFooterKey": false,
                        "masterKeyID": key_of(&path).unwrap(),
                        "wrappedDEK": file.file_id.to_string(), "doubleWrapping": false,
                    })
                );
            }
        }
    }
}

#[test]
fn columns_that_cannot_be_encrypted() {
    let refused = |columns: &[&str], rest| {
        let bench = Bench::new();
        let options = options(Some((columns, rest)), false, AadStorage::Supplied);
        let error = bench.seal_as(&[input(&bench)], options).unwrap_err();
        assert!(!bench.out().exists(), "something is left");
        error
    };
    let error = refused(&["id", "Secret"], Rest::Clear);
    assert!(matches!(&error, SealError::NoSuchColumn { name, .. } if name == "Secret"));
    assert_eq!((error.code(), error.exit()), ("DB-LAK-052", Exit::Usage));
    assert!(error.expected().unwrap().contains("deep.a.list.item"));
    assert!(matches!(
        refused(&["deep.a"], Rest::TableKey),
        SealError::NoSuchColumn { .. }
    ));
    assert_eq!(refused(&[], Rest::Clear).code(), "DB-LAK-053");
    // `a.b` reads like `b` in `a`.
    let bench = Bench::new();
    let twins = bench.input("t.jsonl", "{\"a.b\":1,\"a\":{\"b\":2}}\n");
    assert!(matches!(bench.refused(&[twins]), SealError::AmbiguousPath { path } if path == "a.b"));
}

#[test]
fn an_append_fits_the_table() {
    let bench = Bench::new();
    let sealed = bench
        .seal_as(
            &[bench.input("t.csv", "id,price,day\n1,2.50,2024-01-31\n")],
            SealOptions {
                csv: CsvOptions {
                    types: vec![("price".into(), "DECIMAL(12,2)".parse().unwrap())],
                    ..CsvOptions::default()
                },
                ..options(Some((&["price"], Rest::Clear)), false, AadStorage::Supplied)
            },
        )
        .unwrap();
    let manifest =
        VerifiedManifest::open(&sealed.manifest_bytes, &bench.owner.public(), None).unwrap();
    let first = fs::read(bench.out().join(&manifest.files[0].path)).unwrap();
    let target = read(&bench, &manifest, &manifest.files[0], &first).schema();
    let open = |name: &str, text: &str| {
        let input = bench.input(name, text);
        let mut silent = |_| {};
        let mut source = Source::open(
            vec![input],
            &CsvOptions::default(),
            Some(&target),
            &mut silent,
        )?;
        let schema = Arc::clone(source.schema());
        let rows: Vec<_> = source.by_ref().collect::<Result<_, _>>()?;
        assert_eq!(
            source.rows(),
            rows.iter()
                .map(|batch| batch.num_rows() as u64)
                .sum::<u64>()
        );
        Ok::<_, SealError>(arrow::compute::concat_batches(&schema, &rows)?)
    };
    // Another order, a new column, and types of the table where inference would choose others.
    let rows = open("a.csv", "day,new,id,price\n,x,2,3\n2024-02-01,,,1.5\n").unwrap();
    let plan = Plan::of_manifest(&manifest, rows.schema()).unwrap();
    let ids: Vec<_> = plan
        .columns()
        .iter()
        .map(|column| column.key_id.as_deref())
        .collect();
    assert_eq!(
        ids,
        [None, Some("orders-v1:price"), None, Some("orders-v1")]
    );
    let mut workspace = Workspace::open(&bench.out()).unwrap();
    let mut batches = std::iter::once(Ok(rows.clone()));
    let files = write_parts(&mut workspace, &plan, &bench.key, &mut batches, 1).unwrap();
    assert_eq!(files.len(), 1);
    assert!(files[0].path.starts_with("part-00001-"));
    let added = bench.out().join(&files[0].path);
    assert_eq!(
        as_text(&rows),
        ["id,price,day,new", "2,3.00,,x", ",1.50,2024-02-01,"]
    );
    assert!(rows.column(0).as_primitive_opt::<Int64Type>().is_some());
    assert!(rows.column(3).is_valid(0) && rows.schema().field(3).is_nullable());
    // Not kept: gone, and the table is as it was.
    assert!(added.exists());
    drop(workspace);
    assert!(!added.exists());
    assert!(bench.out().join(&manifest.files[0].path).exists());
    for (name, text) in [
        ("missing.csv", "id,price\n1,2\n"),
        ("rounds.csv", "id,price,day\n1,2.555,2024-01-31\n"),
        (
            "type.jsonl",
            "{\"id\":1.5,\"price\":2,\"day\":\"2024-01-31\"}\n",
        ),
        ("case.csv", "ID,id,price,day\n1,1,2,2024-01-31\n"),
    ] {
        assert!(open(name, text).is_err(), "{name}");
    }
    let json = open(
        "a.jsonl",
        "{\"id\":7,\"price\":null,\"day\":\"2024-01-31\"}\n",
    )
    .unwrap();
    assert_eq!(as_text(&json), ["id,price,day", "7,,2024-01-31"]);
}
