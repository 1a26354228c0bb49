//! Keys that are missing or wrong: whose, and what still can be read.

use std::sync::Arc;

use duckblind_protocol::ids::Digest;

use super::super::layout::Content;
use super::super::testing::{Encrypt, Make, metadata, rows};
use super::super::{LakeError, SealedFile};
use crate::keys::DataKey;

fn with_column_keys() -> Vec<(String, Encrypt)> {
    let mut variants = Encrypt::variants();
    variants.retain(|(_, variant)| !variant.column_keys.is_empty());
    variants
}

/// Reads all things but for `column`'s, which must fail for want of its key.
fn locked(sealed: &SealedFile, name: &str, column: &str, key_id: &str) {
    let mut locked = 0;
    for slot in sealed.slots() {
        let mut out = vec![0xee; slot.room as usize];
        match (&slot.content, sealed.read_at(&mut out, slot.place)) {
            (Content::Locked { .. }, Err(error)) => {
                let missing = LakeError::ColumnKeyMissing {
                    column: column.into(),
                    key_id: key_id.into(),
                };
                assert_eq!(error, missing, "{name}");
                locked += 1;
            }
            (Content::Locked { .. }, Ok(_)) => panic!("{name}: read without a key"),
            (_, read) => assert_eq!(read.unwrap(), out.len(), "{name}"),
        }
    }
    assert_eq!(locked, 3, "{name}");
}

#[test]
fn a_missing_column_key_fails_reads_of_that_column_only() {
    let plain = Make::default().plain(&rows(1000));
    for (name, variant) in with_column_keys() {
        let file = variant.file(&plain);
        for column in ["id", "list.list.item"] {
            let mut spec = variant.spec_for(&file);
            spec.keys.columns.remove(column);
            let sealed = SealedFile::open(Arc::new(file.clone()), spec).unwrap();
            locked(&sealed, &name, column, &format!("orders-v1:{column}"));
            // Schema and rows are there all the same, and the stand-in says nothing of the values.
            let sealed = Arc::new(sealed);
            let metadata = metadata(&sealed);
            assert_eq!(metadata.file_metadata().num_rows(), 1000);
            let at = if column == "id" { 0 } else { 4 };
            let chunk = metadata.row_group(0).column(at);
            assert_eq!(chunk.column_path().string(), column);
            assert_eq!(chunk.compressed_size(), 1);
            assert!(chunk.statistics().is_none() && chunk.bloom_filter_offset().is_none());
            if !variant.plaintext_footer {
                assert_eq!(chunk.num_values(), 400);
            }
        }
    }
}

#[test]
fn a_wrong_column_key_is_named() {
    let plain = Make::default().plain(&rows(100));
    for (name, variant) in with_column_keys() {
        let file = variant.file(&plain);
        let mut spec = variant.spec_for(&file);
        let key = DataKey::from_slice(&[0x77; 32]).unwrap().labelled("mine");
        spec.keys.columns.insert("id".into(), key);
        let error = SealedFile::open(Arc::new(file), spec).unwrap_err();
        let wrong = LakeError::ColumnKeyWrong {
            column: "id".into(),
            key: "mine".into(),
        };
        assert_eq!(error, wrong, "{name}");
    }
}

#[test]
fn footers_need_a_key_or_a_digest() {
    let plain = Make::default().plain(&rows(1000));
    for (name, variant) in Encrypt::variants() {
        let file = variant.file(&plain);
        let mut spec = variant.spec_for(&file);
        spec.keys.footer = None;
        let error = SealedFile::open(Arc::new(file.clone()), spec).unwrap_err();
        assert_eq!(error, LakeError::FooterKeyMissing, "{name}");

        let digest = variant.open(file.clone()).unwrap().footer_digest();
        let mut spec = variant.spec_for(&file);
        spec.keys.footer = None;
        spec.footer_digest = Some(digest);
        let opened = SealedFile::open(Arc::new(file.clone()), spec);
        if variant.plaintext_footer {
            // What is under the footer's key is locked, the rest is not.
            let sealed = opened.unwrap();
            let readable = |column: &str| {
                sealed.slots().iter().any(|slot| match &slot.content {
                    Content::Chunk(chunk) => {
                        sealed.columns().keys().len() == 5 && {
                            let paths = ["id", "f", "word", "flag", "list.list.item"];
                            paths[usize::try_from(chunk.column).unwrap()] == column
                        }
                    }
                    _ => false,
                })
            };
            assert!(!readable("f"), "{name}");
            assert_eq!(readable("id"), !variant.column_keys.is_empty(), "{name}");
            assert_eq!(readable("word"), !variant.clear.is_empty(), "{name}");
        } else {
            assert_eq!(opened.unwrap_err(), LakeError::FooterKeyMissing, "{name}");
        }

        let mut spec = variant.spec_for(&file);
        spec.footer_digest = Some(Digest::of(b"other"));
        let error = SealedFile::open(Arc::new(file.clone()), spec).unwrap_err();
        assert!(matches!(error, LakeError::FooterDigest { .. }), "{name}");

        let mut spec = variant.spec_for(&file);
        let key = DataKey::from_slice(&[0x77; 24]).unwrap().labelled("mine");
        spec.keys.footer = Some(key);
        let key = "mine".to_owned();
        let wrong = if variant.plaintext_footer {
            LakeError::FooterSignature { key }
        } else {
            LakeError::KeyWrong { key }
        };
        assert_eq!(SealedFile::open(Arc::new(file), spec).unwrap_err(), wrong);
    }
}

#[test]
fn a_column_in_the_clear_must_be_allowed() {
    let plain = Make::default().plain(&rows(100));
    for (name, variant) in Encrypt::variants() {
        let file = variant.file(&plain);
        let mut spec = variant.spec_for(&file);
        spec.columns.clear.remove("word");
        let opened = SealedFile::open(Arc::new(file), spec).map(drop);
        if variant.clear.is_empty() {
            assert_eq!(opened, Ok(()));
        } else {
            assert_eq!(opened, Err(LakeError::ColumnClear("word".into())), "{name}");
        }
    }
}

#[test]
fn a_data_key_of_its_own_under_the_tables_key_is_no_footer_key() {
    let plain = Make::default().plain(&rows(1000));
    for (name, variant) in with_column_keys() {
        let file = variant.file(&plain);
        let mut spec = variant.spec_for(&file);
        spec.keys.columns.remove("id");
        spec.columns.key_ids.insert("id".into(), "orders-v1".into());
        spec.columns.own_keys.insert("id".into());
        let sealed = SealedFile::open(Arc::new(file), spec).unwrap();
        locked(&sealed, &name, "id", "orders-v1");
    }
}

#[test]
fn a_column_with_a_key_of_its_own_is_not_under_the_footers() {
    let plain = Make::default().plain(&rows(100));
    let variant = Encrypt::default();
    let file = variant.file(&plain);
    let mut spec = variant.spec_for(&file);
    let ids = &mut spec.columns.key_ids;
    ids.insert("f".into(), "orders-v1".into());
    ids.insert("id".into(), "orders-v1:id".into());
    let downgraded = LakeError::ColumnDowngraded {
        column: "id".into(),
        key_id: "orders-v1:id".into(),
    };
    let opened = SealedFile::open(Arc::new(file), spec).map(drop);
    assert_eq!(opened, Err(downgraded));
}
