//! A sealed file with bytes changed or cut off: an error or the right answer.
#![no_main]
use std::io::{Read as _, Seek as _};
use std::sync::{Arc, LazyLock};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use duckblind_lake::keys::DataKey;
use duckblind_lake::seal::{Protection, write_file};
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, SealedFile};
use libfuzzer_sys::fuzz_target;

const PREFIX: &[u8] = b"duckblind/v1/t/00";

static SEALED: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let stored = sealed().expect("a small sealed file");
    let plain = read(stored.clone()).expect("the unchanged file opens");
    (stored, plain)
});

fn sealed() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let numbers = Int64Array::from_iter_values(0..64);
    let words = StringArray::from_iter_values((0..64).map(|n| format!("word {}", n % 5)));
    let batch =
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("w", Arc::new(words) as _)])?;
    let key = DataKey::from_slice(&[7; 32])?;
    let mut file = tempfile::tempfile()?;
    let protection = Protection::Sealed {
        key: &key,
        aad_prefix: PREFIX,
    };
    let schema = batch.schema();
    write_file(
        file.try_clone()?,
        &schema,
        &mut std::iter::once(Ok(batch)),
        protection,
    )?;
    let mut stored = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut stored)?;
    Ok(stored)
}

fn read(stored: Vec<u8>) -> Option<Vec<u8>> {
    let spec = FileSpec {
        key: DataKey::from_slice(&[7; 32]).expect("a key"),
        aad_prefix: AadPrefix::Supplied(PREFIX.to_vec()),
        footer_digest: None,
        size: None,
    };
    let file = SealedFile::open(Arc::new(stored), spec).ok()?;
    let mut out = vec![0; usize::try_from(file.virtual_len()).ok()?];
    let length = file.read_at(&mut out, 0).ok()?;
    assert_eq!(length, out.len());
    Some(out)
}

fuzz_target!(|edits: (Vec<(u16, u8)>, Option<u16>)| {
    let (edits, cut) = edits;
    let (stored, plain) = &*SEALED;
    let mut bytes = stored.clone();
    for (at, byte) in edits {
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(usize::from(cut));
    }
    if let Some(out) = read(bytes) {
        assert!(out == *plain);
    }
});
