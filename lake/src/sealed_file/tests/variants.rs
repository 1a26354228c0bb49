//! Every way of encrypting that the format knows, read back equal.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::bloom_filter::Sbbf;
use parquet::file::properties::{EnabledStatistics, WriterVersion};

use super::super::bloom::EMPTY;
use super::super::testing::{
    Encrypt, KEY, Make, Virtual, all, all_by, decode, metadata, rows, spec, write,
};
use super::super::{ColumnProtection, SealedFile, inspect};
use crate::manifest::Algorithm;

#[test]
fn of_our_own_writing() {
    let wanted = rows(1000);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let make = Make {
            version,
            ..Make::default()
        };
        let plain = make.plain(&wanted);
        for (name, variant) in Encrypt::variants() {
            let file = variant.file(&plain);
            let sealed = variant.open(file.clone()).unwrap();
            let whole = all(&sealed).unwrap();
            assert!(all_by(&sealed, 333).unwrap() == whole, "{name}");
            assert_eq!(decode(sealed), wanted, "{name}");

            let seen = inspect(&file).unwrap();
            assert_eq!(seen.algorithm, variant.algorithm);
            assert_eq!(seen.encrypted_footer, !variant.plaintext_footer);
            assert_eq!(
                seen.footer_key_metadata.as_deref(),
                Some(&b"of the footer"[..])
            );
            assert_eq!(seen.aad_prefix.is_some(), variant.store);
            assert_eq!(
                seen.supply_aad_prefix,
                variant.prefix.is_some() && !variant.store
            );
            let columns = variant.open(file).unwrap().columns().clone();
            assert_eq!(seen.columns.is_some(), variant.plaintext_footer);
            assert!(seen.columns.is_none_or(|seen| seen == columns));
            let of = |path: &str| columns[path].clone();
            assert_eq!(of("f"), ColumnProtection::FooterKey);
            if variant.clear.is_empty() {
                assert_eq!(of("word"), ColumnProtection::FooterKey);
            } else {
                assert_eq!(of("word"), ColumnProtection::Clear);
            }
            let own = ColumnProtection::ColumnKey(Some(b"of id".to_vec()));
            assert_eq!(of("id") == own, variant.column_keys.contains_key("id"));
        }
    }
}

#[test]
fn of_the_parquet_crates_writing() {
    let wanted = rows(1000);
    for signed in [false, true] {
        for ours in [false, true] {
            let make = Make {
                ours,
                ..Make::default()
            };
            let uniform = make.encryption().with_plaintext_footer(signed);
            let columns = make
                .encryption()
                .with_plaintext_footer(signed)
                .with_column_key("id", vec![1; 16])
                .with_column_key("list.list.item", vec![2; 32]);
            for (encryption, keys) in [(uniform, 0), (columns, 2)] {
                let file = write(
                    &wanted,
                    make.properties()
                        .with_file_encryption_properties(encryption.build().unwrap())
                        .build(),
                );
                let mut variant = Encrypt::default();
                if keys > 0 {
                    variant.column_keys.insert("id", vec![1; 16]);
                    variant.column_keys.insert("list.list.item", vec![2; 32]);
                    variant.clear.extend(["f", "word", "flag"]);
                }
                assert_eq!(decode(variant.open(file).unwrap()), wanted);
            }
        }
    }
}

#[test]
fn statistics_are_those_of_the_encrypted_metadata() {
    let plain = Make::default().plain(&rows(1000));
    for (name, variant) in Encrypt::variants() {
        let file = variant.file(&plain);
        let sealed = Arc::new(variant.open(file).unwrap());
        for group in metadata(&sealed).row_groups() {
            for column in group.columns() {
                assert!(column.statistics().is_some(), "{name}");
            }
        }
    }
}

#[test]
fn bloom_filters_come_along() {
    let batch = rows(1000);
    let make = Make {
        bloom: true,
        ..Make::default()
    };
    let plain = make.plain(&batch);
    for sized_blooms in [true, false] {
        for algorithm in [Algorithm::Gcm, Algorithm::GcmCtr] {
            let mut variant = Encrypt {
                algorithm,
                sized_blooms,
                ..Encrypt::default()
            };
            variant.clear.insert("word");
            variant.column_keys.insert("id", vec![1; 16]);
            let sealed = Arc::new(variant.open(variant.file(&plain)).unwrap());
            let metadata = metadata(&sealed);
            for group in metadata.row_groups() {
                let [id, f, word, ..] = group.columns() else {
                    panic!("five columns");
                };
                assert!(word.bloom_filter_offset().is_none());
                for column in [id, f] {
                    assert_eq!(column.bloom_filter_length().is_some(), sized_blooms);
                    let reader = Virtual(Arc::clone(&sealed));
                    let filter = Sbbf::read_from_column_chunk(column, &reader).unwrap();
                    assert!(!filter.unwrap().check(&-1_i64));
                }
            }
            let ids = Sbbf::read_from_column_chunk(
                metadata.row_group(0).column(0),
                &Virtual(Arc::clone(&sealed)),
            );
            assert!(ids.unwrap().unwrap().check(&0x1E37_79B9_7F4A_7C15_i64));
        }
    }
    // The crate leaves them in the clear beside encrypted columns: then there are none.
    let encryption = make.encryption().build().unwrap();
    let file = write(
        &batch,
        make.properties()
            .set_bloom_filter_enabled(true)
            .set_statistics_enabled(EnabledStatistics::None)
            .with_file_encryption_properties(encryption)
            .build(),
    );
    let sealed = Arc::new(SealedFile::open(Arc::new(file), spec(&KEY, make.aad_prefix())).unwrap());
    let column = metadata(&sealed).row_group(1).column(0).clone();
    let mut header = vec![0; EMPTY.len()];
    let at = u64::try_from(column.bloom_filter_offset().unwrap()).unwrap();
    sealed.read_at(&mut header, at).unwrap();
    assert_eq!(header, EMPTY);
}

#[test]
fn files_without_rows_and_without_row_groups() {
    let plain = Make::default().plain(&rows(0));
    for (name, variant) in Encrypt::variants() {
        let sealed = variant.open(variant.file(&plain)).unwrap();
        assert_eq!(sealed.rows(), 0, "{name}");
        assert_eq!(sealed.columns(), &BTreeMap::new());
        assert_eq!(decode(sealed), rows(0), "{name}");
    }
}
