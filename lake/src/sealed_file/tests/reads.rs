//! What is read is what was written, in whatever pieces, and nothing is decrypted twice.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterVersion;
use proptest::prelude::*;

use super::super::aad::Aad;
use super::super::pages::Walk;
use super::super::testing::{
    KEY, Make, PREFIX, all, decode, encrypt_again, rows, spec, with_exact_sizes, write,
};
use super::super::window::Window;
use super::super::{ReadAt, SealedFile};
use super::{chunks, open_footer};

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

/// Start and plaintext length of every chunk, found by walking.
fn plaintext_lengths(make: &Make, file: &[u8]) -> Vec<(u64, u64)> {
    let opened = open_footer(make, file);
    let source = file.to_vec();
    chunks(make, file)
        .iter()
        .map(|chunk| {
            let mut aad = Aad::new(&opened.file_aad, chunk.row_group, chunk.column).unwrap();
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
