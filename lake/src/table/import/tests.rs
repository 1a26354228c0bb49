//! Files of other writers, and files that are refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod icefalldb;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use duckblind_protocol::coded::Coded as _;
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::{EncryptionPropertiesBuilder, FileEncryptionProperties};
use parquet::file::properties::WriterProperties;

use super::super::testing::Made;
use super::super::verify;
use super::{ImportError, ImportRequest, Imported, import, parquet_files};
use crate::keys::material::tests::wrap;
use crate::keys::{ForeignKeys, TableKey};
use crate::manifest::{Algorithm, FILE_NAME, ManifestAad};
use crate::names::KeyId;
use crate::sealed_file::testing::{KEY, PREFIX, version_2_under_ctr};

const FOOTER: [u8; 16] = [1; 16];
const COLUMN: [u8; 32] = [2; 32];

fn rows(from: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(from..from + 500);
    let words = StringArray::from_iter_values((from..from + 500).map(|n| format!("w{n}")));
    RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("w", Arc::new(words) as _)])
        .unwrap()
}

fn write(path: &Path, rows: &RecordBatch, encryption: EncryptionPropertiesBuilder) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(200))
        .with_file_encryption_properties(encryption.build().unwrap())
        .build();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn footer() -> EncryptionPropertiesBuilder {
    FileEncryptionProperties::builder(FOOTER.to_vec())
}

fn foreign(text: &str) -> ForeignKeys {
    ForeignKeys::parse(text.as_bytes()).unwrap()
}

fn both() -> ForeignKeys {
    foreign(&format!(
        "{{\"footer\":\"{}\",\"columns\":{{\"w\":\"{}\"}}}}",
        hex::encode(FOOTER),
        hex::encode(COLUMN)
    ))
}

struct Import<'a> {
    made: &'a Made,
    prefix: Option<&'a [u8]>,
    own_keys: &'a [&'a str],
}

impl Import<'_> {
    fn run(&self, keys: &ForeignKeys) -> Result<Imported, ImportError> {
        import(&ImportRequest {
            dir: &self.made.dir(),
            table: &"t".parse().unwrap(),
            owner: &self.made.owner,
            kms: &self.made.keys,
            files: parquet_files(&self.made.dir()).unwrap(),
            keys,
            aad_prefix: self.prefix.map(<[u8]>::to_vec),
            own_keys: self
                .own_keys
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }
}

fn plain(made: &Made) -> Import<'_> {
    Import {
        made,
        prefix: None,
        own_keys: &[],
    }
}

/// What data keys are wrapped under: the newest of the table's keys that there are.
fn newest_key(made: &Made) -> KeyId {
    let newest = made.keys.newest_version("t").unwrap();
    assert!(newest > 1);
    KeyId::of_table("t", newest)
}

fn two_files(encryption: impl Fn() -> EncryptionPropertiesBuilder) -> (Made, PathBuf) {
    let made = Made::keys_only();
    write(&made.dir().join("a.parquet"), &rows(0), encryption());
    write(&made.dir().join("sub/b.parquet"), &rows(500), encryption());
    let first = made.dir().join("a.parquet");
    (made, first)
}

#[test]
fn every_kind_of_file_stays_as_it_is() {
    type Kind = fn() -> EncryptionPropertiesBuilder;
    type Case = (Kind, Option<&'static [u8]>, &'static [&'static str]);
    let kinds: [Case; 8] = [
        (footer, None, &[]),
        (|| footer().with_aad_prefix(b"p".to_vec()), Some(b"p"), &[]),
        (
            || {
                footer()
                    .with_aad_prefix(b"p".to_vec())
                    .with_aad_prefix_storage(true)
            },
            None,
            &[],
        ),
        (|| footer().with_plaintext_footer(true), None, &[]),
        (|| footer().with_column_key("w", COLUMN.to_vec()), None, &[]),
        (
            || footer().with_column_key("w", COLUMN.to_vec()),
            None,
            &["w"],
        ),
        (
            || {
                footer()
                    .with_column_key("w", COLUMN.to_vec())
                    .with_plaintext_footer(true)
            },
            None,
            &["w"],
        ),
        (
            || {
                footer()
                    .with_column_key("w", COLUMN.to_vec())
                    .with_column_key("n", FOOTER.to_vec())
                    .with_aad_prefix(b"p".to_vec())
            },
            Some(b"p"),
            &[],
        ),
    ];
    for (at, (kind, prefix, own_keys)) in kinds.into_iter().enumerate() {
        let (made, _) = two_files(kind);
        let before = made.tree();
        let keys = foreign(&format!(
            "{{\"footer\":\"{0}\",\"columns\":{{\"w\":\"{1}\",\"n\":\"{0}\"}}}}",
            hex::encode(FOOTER),
            hex::encode(COLUMN)
        ));
        let request = Import {
            made: &made,
            prefix,
            own_keys,
        };
        let done = request.run(&keys).unwrap();
        assert_eq!(done.rows, 1000, "kind {at}");
        let mut after = made.tree();
        assert!(after.remove(&made.dir().join(FILE_NAME)).is_some());
        assert_eq!(after, before, "kind {at}");
        let all = arrow::compute::concat_batches(&rows(0).schema(), &[rows(0), rows(500)]);
        assert_eq!(made.rows(&done.table), all.unwrap(), "kind {at}");
        let reports = verify(&done.table, &made.keys, &mut |_| {});
        assert!(
            reports.iter().all(super::super::FileReport::is_whole),
            "kind {at}"
        );
        let manifest = done.table.manifest();
        let id = manifest.columns[1].key_id.as_deref();
        let own = if own_keys.is_empty() { "" } else { ":w" };
        assert_eq!(id, Some(format!("{}{own}", newest_key(&made)).as_str()));
        let aad = &manifest.files[0].aad;
        assert_eq!(
            *aad == ManifestAad::None,
            !(1..=2).contains(&at) && at != 7,
            "kind {at}"
        );
        // `n` is in the clear wherever only `w` has a key.
        assert_eq!(done.clear.is_empty(), at < 4 || at == 7, "kind {at}");
        // And it can be written anew, as a table of ours.
        let anew = super::super::rotate_data(&made.dir(), &made.owner, &made.keys).unwrap();
        assert_eq!(made.rows(&anew.table), made.rows(&done.table), "kind {at}");
    }
}

#[test]
fn keys_by_metadata_and_by_master_key() {
    let master = [7; 16];
    let material = |id: &str, key: &[u8]| {
        let master = TableKey::from_hex(&hex::encode(master)).unwrap();
        let wrapped = wrap(key, &master, id.as_bytes());
        format!(
            "{{\"keyMaterialType\":\"PKMT1\",\"internalStorage\":true,\"masterKeyID\":\"{id}\",\"wrappedDEK\":\"{wrapped}\",\"doubleWrapping\":false}}"
        )
    };
    let (made, _) = two_files(|| {
        footer()
            .with_footer_key_metadata(b"kf".to_vec())
            .with_column_key_and_metadata("w", COLUMN.to_vec(), b"kc".to_vec())
    });
    let missing = foreign(&format!(
        "{{\"by_key_metadata\":{{\"kf\":\"{}\"}}}}",
        hex::encode(FOOTER)
    ));
    let error = plain(&made).run(&missing).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-101");
    assert!(error.to_string().contains("column `w`"), "{error}");
    assert!(error.expected().unwrap().contains("`kc`"));
    let keys = foreign(&format!(
        "{{\"by_key_metadata\":{{\"kf\":\"{}\",\"kc\":\"{}\"}}}}",
        hex::encode(FOOTER),
        hex::encode(COLUMN)
    ));
    plain(&made).run(&keys).unwrap();

    let (made, _) = two_files(|| {
        footer()
            .with_footer_key_metadata(material("m", &FOOTER).into_bytes())
            .with_column_key_and_metadata("w", COLUMN.to_vec(), material("m", &COLUMN).into_bytes())
    });
    let keys = |byte: u8| {
        foreign(&format!(
            "{{\"keys\":{{\"m\":\"{}\"}}}}",
            hex::encode([byte; 16])
        ))
    };
    let error = plain(&made).run(&keys(8)).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-012");
    plain(&made).run(&keys(7)).unwrap();

    // Material beside the file.
    let beside = |name: &str| {
        format!(
            "{{\"keyMaterialType\":\"PKMT1\",\"internalStorage\":false,\"keyReference\":\"{name}\"}}"
        )
    };
    let (made, _) =
        two_files(|| footer().with_footer_key_metadata(beside("footerKey").into_bytes()));
    assert_eq!(
        plain(&made).run(&keys(7)).err().unwrap().code(),
        "DB-LAK-101"
    );
    for path in [
        "_KEY_MATERIAL_FOR_a.parquet.json",
        "sub/_KEY_MATERIAL_FOR_b.parquet.json",
    ] {
        let store = serde_json::json!({ "footerKey": material("m", &FOOTER) }).to_string();
        fs::write(made.dir().join(path), store).unwrap();
    }
    plain(&made).run(&keys(7)).unwrap();
}

#[test]
fn what_does_not_open_is_not_signed() {
    let kind = || footer().with_column_key("w", COLUMN.to_vec());
    let code = |made: &Made, keys: &ForeignKeys| {
        let before = made.tree();
        let error = plain(made).run(keys).err().unwrap();
        assert_eq!(made.tree(), before);
        error.code()
    };
    let (made, first) = two_files(kind);
    let wrong_footer = foreign(&format!("{{\"footer\":\"{}\"}}", hex::encode([9; 16])));
    assert_eq!(code(&made, &wrong_footer), "DB-LAK-102");
    let wrong_column = foreign(&format!(
        "{{\"footer\":\"{}\",\"columns\":{{\"w\":\"{}\"}}}}",
        hex::encode(FOOTER),
        hex::encode([9; 32])
    ));
    assert_eq!(code(&made, &wrong_column), "DB-LAK-102");
    assert_eq!(code(&made, &foreign("{}")), "DB-LAK-101");
    // A byte of the first page of `w`; cut off; in the clear; no file at all; a link.
    let good = fs::read(&first).unwrap();
    let mut bad = good.clone();
    let at = good.len() / 4;
    bad[at] ^= 1;
    fs::write(&first, &bad).unwrap();
    let _ = plain(&made).run(&both());
    fs::write(&first, &good[..good.len() - 1]).unwrap();
    let _ = fs::remove_file(made.dir().join(FILE_NAME));
    assert_eq!(code(&made, &both()), "DB-LAK-102");
    fs::remove_file(&first).unwrap();
    std::os::unix::fs::symlink(made.dir().join("sub/b.parquet"), &first).unwrap();
    let linked = import(&ImportRequest {
        dir: &made.dir(),
        table: &"t".parse().unwrap(),
        owner: &made.owner,
        kms: &made.keys,
        files: vec!["a.parquet".into()],
        keys: &both(),
        aad_prefix: None,
        own_keys: vec![],
    });
    assert_eq!(linked.err().unwrap().code(), "DB-LAK-102");
    // Files that differ in what is encrypted, or in a type.
    let (made, first) = two_files(kind);
    write(&first, &rows(0), footer());
    assert_eq!(code(&made, &both()), "DB-LAK-104");
    let words = StringArray::from_iter_values(["x"]);
    let other = RecordBatch::try_from_iter([("n", Arc::new(words) as _)]).unwrap();
    let (made, first) = two_files(footer);
    write(&first, &other, footer());
    assert_eq!(code(&made, &both()), "DB-LAK-104");
    // A key of its own for a column that has none.
    let (made, _) = two_files(kind);
    let request = Import {
        made: &made,
        prefix: None,
        own_keys: &["n"],
    };
    assert_eq!(request.run(&both()).err().unwrap().code(), "DB-LAK-100");
    // Nor for one that is under the footer's.
    let (made, _) = two_files(footer);
    let request = Import {
        made: &made,
        prefix: None,
        own_keys: &["w"],
    };
    let error = request.run(&both()).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-105");
    assert_eq!(
        error.to_string(),
        "file a.parquet has no key of its own for `w`"
    );
    // A prefix for files that have none.
    let request = Import {
        made: &made,
        prefix: Some(b"p"),
        own_keys: &[],
    };
    assert_eq!(request.run(&both()).err().unwrap().code(), "DB-LAK-102");
    // Names that are one name in SQL, in one file and in two.
    let of = |name: &str| {
        let numbers = Arc::new(Int64Array::from_iter_values(0..3)) as _;
        RecordBatch::try_from_iter([(name, numbers)]).unwrap()
    };
    let (made, first) = two_files(footer);
    write(&first, &of("W"), footer());
    assert_eq!(code(&made, &both()), "DB-LAK-106");
    // A prefix that the file does not have.
    let (made, _) = two_files(|| footer().with_aad_prefix(b"p".to_vec()));
    assert_eq!(code(&made, &both()), "DB-LAK-102");
    let request = Import {
        made: &made,
        prefix: Some(b"q"),
        own_keys: &[],
    };
    assert_eq!(request.run(&both()).err().unwrap().code(), "DB-LAK-102");
    // A table is there already.
    let made = Made::new(&["{\"n\":1}\n"], crate::seal::SealOptions::default());
    assert_eq!(code(&made, &both()), "DB-LAK-045");
}

#[test]
fn a_column_whose_own_key_is_missing_fails_alone() {
    let (made, _) = two_files(|| {
        footer()
            .with_column_key("w", COLUMN.to_vec())
            .with_column_key("n", FOOTER.to_vec())
    });
    let keys = foreign(&format!(
        "{{\"footer\":\"{0}\",\"columns\":{{\"w\":\"{1}\",\"n\":\"{0}\"}}}}",
        hex::encode(FOOTER),
        hex::encode(COLUMN)
    ));
    let done = plain(&made).run(&keys).unwrap();
    let manifest = done.table.manifest();
    let file = &manifest.files[0];
    // Both data keys are under the table's key; a job carries only what its query needs.
    let some = manifest
        .file_keys(file, &made.keys, &mut |column| column != Some("w"))
        .unwrap();
    let source = fs::File::open(made.dir().join(&file.path)).unwrap();
    let source = Arc::new(crate::sealed_file::LocalFile::new(source).unwrap());
    let sealed =
        crate::sealed_file::SealedFile::open(source, manifest.file_spec(file, some)).unwrap();
    let read = |at: usize| {
        let place = sealed.places().nth(at).unwrap();
        let mut out = vec![0; usize::try_from(place.end - place.start).unwrap()];
        sealed.read_at(&mut out, place.start).map(drop)
    };
    read(1).unwrap();
    let missing = crate::sealed_file::LakeError::ColumnKeyMissing {
        column: "w".into(),
        key_id: newest_key(&made).to_string(),
    };
    let all = sealed.places().count();
    let failed: Vec<_> = (1..all - 1).filter_map(|at| read(at).err()).collect();
    assert_eq!(failed, [(); 3].map(|()| missing.clone()));
}

/// What an encrypted file says of its algorithm is in the clear and has no tag.
#[test]
fn pages_with_tags_are_not_taken_for_others() {
    let (made, path) = two_files(footer);
    let mut file = fs::read(&path).unwrap();
    let tail = file.len() - 8;
    let length = u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap());
    let start = tail - usize::try_from(length).unwrap();
    // FileCryptoMetaData: its first field, an EncryptionAlgorithm, of the first kind.
    assert_eq!(file[start..start + 2], [0x1c, 0x1c]);
    plain(&made).run(&both()).unwrap();
    fs::remove_file(made.dir().join(FILE_NAME)).unwrap();
    file[start + 1] = 0x2c;
    fs::write(&path, file).unwrap();
    let error = plain(&made).run(&both()).err().unwrap();
    assert_eq!(error.code(), "DB-LAK-102");
    assert!(error.to_string().contains("AES_GCM_CTR_V1"), "{error}");
    assert!(!made.dir().join(FILE_NAME).exists());
}

/// Real files under AES_GCM_CTR_V1 are told from those, whatever their pages hold.
#[test]
fn pages_without_tags_are_imported() {
    let made = Made::keys_only();
    fs::create_dir_all(made.dir()).unwrap();
    fs::write(made.dir().join("a.parquet"), version_2_under_ctr()).unwrap();
    let keys = foreign(&format!("{{\"footer\":\"{}\"}}", hex::encode(KEY)));
    let import = Import {
        prefix: Some(PREFIX),
        ..plain(&made)
    };
    let imported = import.run(&keys).unwrap();
    let [file] = imported.table.manifest().files.as_slice() else {
        panic!("one file");
    };
    assert_eq!(file.algorithm, Algorithm::GcmCtr);
    assert!(file.chunk_digests.contains_key("word"));
}
