//! Every byte of a small sealed table flipped in turn: an error or the right answer, never a wrong one.

use std::fs;
use std::sync::Arc;

use duckblind_lake::keys::{DataKey, OwnerKey, TableKey};
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::seal::{Protection, SealOptions, SealRequest, seal, write_file};
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, SealedFile};
use duckblind_tests::rows::Answer;
use duckblind_tests::running;
use duckblind_tests::sealed::{LocalTable, Part, answer, engine};

const CSV: &str = "id,name,score\n1,Ada,1.5\n2,Grace,2.5\n3,Alan,\n4,Edsger,4.5\n5,Barbara,5.5\n";
const MEMORY: u64 = 256 << 20;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(duckblind_tests::binaries::run_root()).unwrap()
}

/// What the engine says about these stored bytes, by whatever error it fails.
fn read(part: &Part, bytes: Vec<u8>, pinned: bool) -> anyhow::Result<Answer> {
    let file = part.open(Arc::new(bytes), pinned)?;
    let mut engine = engine(1, MEMORY)?;
    engine.add_table("t", vec![file])?;
    answer(&engine, "select * from t")
}

#[test]
fn of_every_data_byte() {
    let _test = running::test("flips");
    let dir = folder();
    let csv = dir.path().join("t.csv");
    fs::write(&csv, CSV).unwrap();
    let table = LocalTable::seal("t", vec![csv], &dir.path().join("t")).unwrap();
    let [part] = table.parts.as_slice() else {
        panic!("one file");
    };
    let good = fs::read(&part.path).unwrap();
    let right = read(part, good.clone(), true).unwrap();
    assert_eq!(right.rows.len(), 5);
    let (mut refused, mut harmless) = (0, 0);
    for at in 0..good.len() {
        // With the manifest's pins, and with nothing but the file's own cryptography.
        for pinned in [true, false] {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            match read(part, bytes, pinned) {
                Err(_) => refused += 1,
                Ok(answer) => {
                    harmless += 1;
                    answer
                        .must_equal(&right, &[])
                        .unwrap_or_else(|error| panic!("byte {at} (pinned: {pinned}): {error}"));
                }
            }
        }
    }
    // The magic at the start is all that no key and no digest speaks for.
    assert!(harmless <= 2 * 4, "{harmless} changes went unnoticed");
    assert!(
        refused > good.len(),
        "{refused} refused of {}",
        2 * good.len()
    );
}

#[test]
fn of_every_length() {
    let _test = running::test("cuts");
    let dir = folder();
    let csv = dir.path().join("t.csv");
    fs::write(&csv, CSV).unwrap();
    let table = LocalTable::seal("t", vec![csv], &dir.path().join("t")).unwrap();
    let part = &table.parts[0];
    let good = fs::read(&part.path).unwrap();
    for length in 0..good.len() {
        for pinned in [true, false] {
            let cut = read(part, good[..length].to_vec(), pinned);
            assert!(cut.is_err(), "{length} bytes were read (pinned: {pinned})");
        }
    }
    assert!(read(part, [&good[..], b"x"].concat(), true).is_err());
}

#[test]
fn of_every_manifest_byte() {
    let _test = running::test("manifest flips");
    let dir = folder();
    let csv = dir.path().join("t.csv");
    fs::write(&csv, CSV).unwrap();
    let (table_key, owner) = (TableKey::generate().unwrap(), OwnerKey::generate().unwrap());
    let sealed = seal(SealRequest {
        inputs: vec![csv],
        table: "t".into(),
        out_dir: dir.path().join("t"),
        kms: &table_key,
        owner: &owner,
        options: SealOptions::default(),
        progress: &mut |_| {},
    })
    .unwrap();
    let good = sealed.manifest_bytes;
    VerifiedManifest::open(&good, &owner.public(), None).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let opened = VerifiedManifest::open(&bytes, &owner.public(), None);
            assert!(opened.is_err(), "bit {bit} of byte {at}");
        }
    }
}

/// Two tables under one data key, files swapped, no manifest asked: only the AAD can tell, and does.
#[test]
fn of_two_files_of_one_key() {
    let _test = running::test("swap");
    let dir = folder();
    let key = DataKey::from_slice(&[7; 32]).unwrap();
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("n", arrow::datatypes::DataType::Int64, false),
    ]));
    let write = |name: &str, prefix: &[u8], number: i64| {
        let column = Arc::new(arrow::array::Int64Array::from(vec![number]));
        let batch = arrow::array::RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let path = dir.path().join(name);
        let protection = Protection::Sealed {
            key: &key,
            aad_prefix: prefix,
        };
        let file = fs::File::create(&path).unwrap();
        write_file(file, &schema, &mut [Ok(batch)].into_iter(), protection).unwrap();
        fs::read(&path).unwrap()
    };
    let (ours, theirs) = (
        b"duckblind/v1/ours/00".as_slice(),
        b"duckblind/v1/theirs/01".as_slice(),
    );
    let (our_file, their_file) = (write("ours", ours, 1), write("theirs", theirs, 2));
    let open = |bytes: &[u8], prefix: &[u8]| {
        SealedFile::open(
            Arc::new(bytes.to_vec()),
            FileSpec::uniform(
                DataKey::from_slice(&[7; 32]).unwrap(),
                AadPrefix::Supplied(prefix.to_vec()),
            ),
        )
    };
    open(&our_file, ours).unwrap();
    open(&their_file, theirs).unwrap();
    assert!(
        open(&their_file, ours).is_err(),
        "another table's file was taken"
    );
    assert!(
        open(&our_file, theirs).is_err(),
        "another table's file was taken"
    );
}
