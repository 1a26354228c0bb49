//! The virtual file against the `parquet` crate's own reader, and against tampering.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterVersion;
use proptest::prelude::*;

use super::pages::Walk;
use super::testing::{
    KEY, Make, PREFIX, all, decode, encrypt_again, rows, spec, with_exact_sizes, write,
};
use super::window::Window;
use super::{AadPrefix, ErrorKind, LakeError, ReadAt, SealedFile, virtual_footer};
use crate::keys::DataKey;

/// A source that counts.
struct Counting {
    bytes: Vec<u8>,
    reads: AtomicU64,
    read_bytes: AtomicU64,
}

impl Counting {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            reads: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
        })
    }
}

impl ReadAt for Counting {
    fn len(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_bytes
            .fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.bytes.read_exact_at(buf, offset)
    }
}

#[test]
fn every_kind_of_uniform_file_reads_right() {
    let wanted = rows(1000);
    for (prefix, store) in [(None, false), (Some(PREFIX), true), (Some(PREFIX), false)] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for codec in [
                Compression::UNCOMPRESSED,
                Compression::SNAPPY,
                Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
            ] {
                for (dictionary, key) in [(true, &KEY[..16]), (false, &KEY[..])] {
                    let make = Make {
                        key: key.to_vec(),
                        prefix,
                        store,
                        version,
                        codec,
                        dictionary,
                        ..Make::default()
                    };
                    let sealed = make.open(make.file(&wanted)).unwrap();
                    assert_eq!(sealed.rows(), 1000);
                    assert_eq!(decode(all(&sealed).unwrap()), wanted);
                }
            }
        }
    }
}

#[test]
fn files_of_other_writers_end_their_chunks_in_zeros() {
    let wanted = rows(1000);
    let make = Make {
        ours: false,
        ..Make::default()
    };
    let file = make.file(&wanted);
    let sealed = make.open(file.clone()).unwrap();
    let lengths = plaintext_lengths(&make, &file);
    let virtual_bytes = all(&sealed).unwrap();
    for (chunk, (start, length)) in chunks(&make, &file).iter().zip(&lengths) {
        assert!(*length < chunk.stored);
        let tail = usize::try_from(start + length).unwrap()..usize::try_from(chunk.end()).unwrap();
        assert!(virtual_bytes[tail].iter().all(|byte| *byte == 0));
    }
    assert_eq!(decode(with_exact_sizes(&sealed, &lengths)), wanted);
}

#[test]
fn keys_of_192_bits() {
    let wanted = rows(1000);
    let make = Make::default();
    let file = make.file(&wanted);
    let key = [3; 24];
    let again = encrypt_again(&file, &KEY, &key, &chunks(&make, &file));
    let sealed = SealedFile::open(Arc::new(again), spec(&key, make.aad_prefix())).unwrap();
    assert_eq!(decode(all(&sealed).unwrap()), wanted);
}

#[test]
fn dictionaries_that_were_given_up_half_way() {
    let wanted = rows(2000);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let make = Make {
            version,
            group: 2000,
            ..Make::default()
        };
        let encryption = make.encryption().build().unwrap();
        let properties = make
            .properties()
            .set_dictionary_page_size_limit(2000)
            .with_file_encryption_properties(encryption);
        let file = write(&wanted, properties.build());
        let ids = chunks(&make, &file).remove(0);
        assert!(ids.dictionary && ids.exact.is_some());
        let sealed = make.open(file).unwrap();
        assert_eq!(decode(all(&sealed).unwrap()), wanted);
    }
}

#[test]
fn an_empty_table() {
    let wanted = rows(0);
    let make = Make::default();
    let sealed = make.open(make.file(&wanted)).unwrap();
    assert_eq!(decode(all(&sealed).unwrap()), wanted);
}

#[test]
fn statistics_stay_and_places_that_are_gone_go() {
    let make = Make {
        ours: false,
        ..Make::default()
    };
    let file = all(&make.open(make.file(&rows(1000))).unwrap()).unwrap();
    let footer =
        u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
    let metadata =
        ParquetMetaDataReader::decode_metadata(&file[file.len() - 8 - footer..file.len() - 8])
            .unwrap();
    assert_eq!(metadata.num_row_groups(), 3);
    for group in metadata.row_groups() {
        for column in group.columns() {
            assert!(column.statistics().is_some());
            assert!(column.crypto_metadata().is_none());
            assert!(
                column.column_index_offset().is_none() && column.offset_index_offset().is_none()
            );
            assert!(column.bloom_filter_offset().is_none());
        }
    }
}

#[test]
fn small_reads_in_order_decrypt_nothing_twice() {
    for step in [1, 7, 64, 1000] {
        let make = Make {
            page: 10_000,
            group: 10_000,
            ..Make::default()
        };
        let file = make.file(&rows(10_000));
        let wanted = all(&make.open(file.clone()).unwrap()).unwrap();
        let source = Counting::new(file);
        let sealed = SealedFile::open(
            Arc::clone(&source) as Arc<dyn ReadAt>,
            spec(&KEY, make.aad_prefix()),
        )
        .unwrap();
        source.read_bytes.store(0, Ordering::Relaxed);
        let mut got = Vec::new();
        let mut piece = vec![0; step];
        loop {
            let read = sealed.read_at(&mut piece, got.len() as u64).unwrap();
            if read == 0 {
                break;
            }
            got.extend_from_slice(&piece[..read]);
        }
        assert!(got == wanted, "step {step}");
        // Headers are read with what follows them, bodies once more: never once per small read.
        assert!(
            source.read_bytes.load(Ordering::Relaxed) < 4 * source.len(),
            "step {step}"
        );
        assert_eq!(sealed.kept(), 0);
    }
}

#[test]
fn a_whole_chunk_is_one_read() {
    let make = Make::default();
    let file = make.file(&rows(1000));
    let chunks = chunks(&make, &file);
    let source = Counting::new(file);
    let sealed = SealedFile::open(
        Arc::clone(&source) as Arc<dyn ReadAt>,
        spec(&KEY, make.aad_prefix()),
    )
    .unwrap();
    for chunk in &chunks {
        source.reads.store(0, Ordering::Relaxed);
        let mut out = vec![0; usize::try_from(chunk.exact.unwrap()).unwrap()];
        sealed.read_at(&mut out, chunk.start).unwrap();
        assert_eq!(source.reads.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn threads_read_at_once() {
    let make = Make::default();
    let file = make.file(&rows(2000));
    let sealed = make.open(file).unwrap();
    let wanted = all(&sealed).unwrap();
    let wrong = Mutex::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (sealed, wanted, wrong) = (&sealed, &wanted, &wrong);
            scope.spawn(move || {
                for turn in 0..200 {
                    let at = (turn * 7919 + thread * 104_729) % wanted.len();
                    let mut out = vec![0; (turn * 31) % 3000 + 1];
                    let read = sealed.read_at(&mut out, at as u64).unwrap();
                    if out[..read] != wanted[at..at + read] {
                        *wrong.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    assert_eq!(wrong.into_inner().unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_reads_in_any_order_see_the_same_file(
        ours: bool,
        reads in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..5000), 1..20),
    ) {
        let make = Make { ours, ..Make::default() };
        let sealed = make.open(make.file(&rows(900))).unwrap();
        let wanted = all(&sealed).unwrap();
        for (at, length) in reads {
            let at = at.index(wanted.len() + 10);
            let mut out = vec![0xaa; length];
            let read = sealed.read_at(&mut out, at as u64).unwrap();
            prop_assert_eq!(read, length.min(wanted.len().saturating_sub(at)));
            if read > 0 {
                prop_assert!(out[..read] == wanted[at..at + read]);
            }
        }
    }
}

/// Opens and reads a changed file: an error, or exactly the right bytes.
fn error_or_right(make: &Make, changed: Vec<u8>, wanted: &[u8]) -> Option<LakeError> {
    let sealed = match make.open(changed) {
        Ok(sealed) => sealed,
        Err(error) => return Some(error),
    };
    // Small reads first: they take another way than whole chunks.
    let mut pieces = Vec::new();
    let mut piece = [0; 333];
    let in_pieces = loop {
        match sealed.read_at(&mut piece, pieces.len() as u64) {
            Ok(0) => break Ok(()),
            Ok(read) => pieces.extend_from_slice(&piece[..read]),
            Err(error) => {
                assert_eq!(piece, [0; 333], "plaintext left after an error");
                break Err(error);
            }
        }
    };
    match (all(&sealed), in_pieces) {
        (Ok(whole), Ok(())) => {
            assert!(whole == wanted && pieces == wanted, "a wrong answer");
            None
        }
        (Err(one), Err(_)) => Some(one),
        (whole, pieces) => panic!("reads disagree: {:?} {pieces:?}", whole.err()),
    }
}

#[test]
fn every_byte_flipped() {
    let make = Make {
        group: 30,
        page: 15,
        ..Make::default()
    };
    let file = make.file(&rows(60));
    let wanted = all(&make.open(file.clone()).unwrap()).unwrap();
    for at in 0..file.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= bits;
            // The file has no byte that says nothing.
            assert!(
                error_or_right(&make, changed, &wanted).is_some(),
                "byte {at}, {bits:x}"
            );
        }
    }
}

#[test]
fn cut_anywhere_and_lengthened() {
    let make = Make {
        group: 30,
        page: 15,
        ..Make::default()
    };
    let file = make.file(&rows(60));
    for cut in 0..file.len() {
        let error = make.open(file[..cut].to_vec()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Tampered),
            "{cut}: {error:?}"
        );
        let mut spec = spec(&KEY, make.aad_prefix());
        spec.size = Some(file.len() as u64);
        let error = SealedFile::open(Arc::new(file[..cut].to_vec()), spec).unwrap_err();
        assert!(matches!(error, LakeError::Size { .. }), "{cut}");
    }
    let mut longer = file;
    longer.push(0);
    assert!(make.open(longer).is_err());
}

#[test]
fn a_file_that_shrinks_while_it_is_read() {
    struct Shrinking(Vec<u8>, Mutex<bool>);
    impl ReadAt for Shrinking {
        fn len(&self) -> u64 {
            self.0.as_slice().len() as u64
        }
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            if *self.1.lock().unwrap() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.0.read_exact_at(buf, offset)
        }
    }
    let make = Make::default();
    let source = Arc::new(Shrinking(make.file(&rows(100)), Mutex::new(false)));
    let sealed = SealedFile::open(
        Arc::clone(&source) as Arc<dyn ReadAt>,
        spec(&KEY, make.aad_prefix()),
    )
    .unwrap();
    *source.1.lock().unwrap() = true;
    assert_eq!(all(&sealed).unwrap_err(), LakeError::Truncated);
}

#[test]
fn swapped_files_and_chunks_are_refused_by_the_aad() {
    // Two tables under one data key, on purpose.
    let orders = Make::default();
    let parts = Make {
        prefix: Some(b"duckblind/v1/parts/11"),
        ..Make::default()
    };
    let (of_orders, of_parts) = (orders.file(&rows(100)), parts.file(&rows(100)));
    assert!(orders.open(of_orders.clone()).is_ok() && parts.open(of_parts.clone()).is_ok());
    assert!(matches!(
        orders.open(of_parts),
        Err(LakeError::KeyWrong { .. })
    ));
    assert!(matches!(
        parts.open(of_orders),
        Err(LakeError::KeyWrong { .. })
    ));

    // Chunks of equal size within one file change places.
    let file = orders.file(&rows(1000));
    let chunks = chunks(&orders, &file);
    let mut swapped = 0;
    for (at, one) in chunks.iter().enumerate() {
        for two in &chunks[at + 1..] {
            if one.stored == two.stored {
                let mut changed = file.clone();
                let length = usize::try_from(one.stored).unwrap();
                let (a, b) = (
                    usize::try_from(one.start).unwrap(),
                    usize::try_from(two.start).unwrap(),
                );
                changed[a..a + length].copy_from_slice(&file[b..b + length]);
                changed[b..b + length].copy_from_slice(&file[a..a + length]);
                let error = all(&orders.open(changed).unwrap()).unwrap_err();
                assert!(matches!(error, LakeError::Tampered { .. }));
                swapped += 1;
            }
        }
    }
    assert!(swapped > 0);
}

#[test]
fn prefixes_must_agree() {
    let stored = Make {
        store: true,
        ..Make::default()
    };
    let supplied = Make::default();
    let without = Make {
        prefix: None,
        ..Make::default()
    };
    let open =
        |file: Vec<u8>, prefix| SealedFile::open(Arc::new(file), spec(&KEY, prefix)).map(drop);
    let ours = || AadPrefix::Supplied(PREFIX.to_vec());
    let other = || AadPrefix::Supplied(b"other".to_vec());
    let batch = rows(10);
    assert_eq!(open(stored.file(&batch), ours()), Ok(()));
    assert_eq!(open(stored.file(&batch), AadPrefix::Stored), Ok(()));
    assert!(matches!(
        open(stored.file(&batch), other()),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(stored.file(&batch), AadPrefix::None),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), AadPrefix::Stored),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), AadPrefix::None),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), other()),
        Err(LakeError::KeyWrong { .. })
    ));
    assert!(matches!(
        open(without.file(&batch), ours()),
        Err(LakeError::AadPrefix(_))
    ));
    assert_eq!(open(without.file(&batch), AadPrefix::None), Ok(()));
}

#[test]
fn wrong_key_digest_and_downgrades_have_their_own_errors() {
    let make = Make::default();
    let batch = rows(50);
    let file = make.file(&batch);
    let open = |file: Vec<u8>| make.open(file).unwrap_err();

    let wrong =
        SealedFile::open(Arc::new(file.clone()), spec(&[8; 32], make.aad_prefix())).unwrap_err();
    assert_eq!(
        wrong,
        LakeError::KeyWrong {
            key: "orders-v1".into()
        }
    );

    let mut with_digest = spec(&KEY, make.aad_prefix());
    with_digest.footer_digest = Some(duckblind_protocol::ids::Digest::of(b"other"));
    let error = SealedFile::open(Arc::new(file), with_digest).unwrap_err();
    assert!(matches!(error, LakeError::FooterDigest { .. }));

    assert_eq!(
        open(write(&batch, make.properties().build())),
        LakeError::Plaintext
    );
    let signed = make
        .encryption()
        .with_plaintext_footer(true)
        .build()
        .unwrap();
    let signed = write(
        &batch,
        make.properties()
            .with_file_encryption_properties(signed)
            .build(),
    );
    assert_eq!(open(signed), LakeError::Plaintext);

    // One column with a key leaves the others in the clear.
    let partly = make
        .encryption()
        .with_column_key("id", KEY.to_vec())
        .build()
        .unwrap();
    let partly = write(
        &batch,
        make.properties()
            .with_file_encryption_properties(partly)
            .build(),
    );
    assert!(matches!(
        open(partly),
        LakeError::ColumnKey(_) | LakeError::ColumnClear(_)
    ));
    let later = make
        .encryption()
        .with_column_key("flag", KEY.to_vec())
        .build()
        .unwrap();
    let later = write(
        &batch,
        make.properties()
            .with_file_encryption_properties(later)
            .build(),
    );
    assert_eq!(open(later), LakeError::ColumnClear("id".into()));

    for junk in [&b""[..], b"PAR1", b"PAREPARE", &[0; 100]] {
        assert_eq!(open(junk.to_vec()), LakeError::NotParquet);
    }
}

fn chunks(make: &Make, file: &[u8]) -> Vec<super::chunks::Chunk> {
    let opened = open_footer(make, file);
    virtual_footer::build(&opened.plaintext, opened.start)
        .unwrap()
        .chunks
}

fn open_footer(make: &Make, file: &[u8]) -> super::footer::OpenFooter {
    let key = DataKey::from_slice(&make.key).unwrap();
    super::footer::open(&file.to_vec(), &key, &make.aad_prefix(), None).unwrap()
}

/// Start and plaintext length of every chunk, found by walking.
fn plaintext_lengths(make: &Make, file: &[u8]) -> Vec<(u64, u64)> {
    let opened = open_footer(make, file);
    let source = file.to_vec();
    chunks(make, file)
        .iter()
        .map(|chunk| {
            let mut aad =
                super::aad::Aad::new(&opened.file_aad, chunk.row_group, chunk.column).unwrap();
            let mut window = Window::new(&source, chunk, 1 << 20);
            let mut walk = Walk::new(chunk);
            while !walk.ended(chunk) {
                let mut header = vec![0; walk.header_length(chunk, &mut window).unwrap()];
                walk.step(&opened.key, chunk, &mut aad, &mut window, &mut header)
                    .unwrap();
            }
            (chunk.start, walk.plain)
        })
        .collect()
}
