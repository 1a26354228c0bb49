//! What is read is what was written, in whatever pieces, and nothing is decrypted twice.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterVersion;
use proptest::prelude::*;

use super::super::testing::{
    KEY, Make, PREFIX, all, all_by, decode, lengths, metadata, rows, spec, write,
};
use super::super::{Counters, ReadAt, SealedFile};
use super::chunks;

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
                    assert_eq!(decode(sealed), wanted);
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
    let sealed = make.open(make.file(&wanted)).unwrap();
    let lengths = lengths(&sealed);
    for (place, chunk) in chunks(&sealed) {
        let length = lengths[&place];
        assert!(length < chunk.stored);
        let mut tail = vec![0xee; usize::try_from(chunk.stored - length).unwrap()];
        sealed.read_at(&mut tail, place + length).unwrap();
        assert!(tail.iter().all(|byte| *byte == 0));
    }
    assert_eq!(decode(sealed), wanted);
}

#[test]
fn dictionaries_that_fill_up() {
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
        let sealed = make.open(write(&wanted, properties.build())).unwrap();
        let (_, ids) = chunks(&sealed)[0];
        assert!(ids.dictionary && ids.exact.is_some());
        assert_eq!(decode(sealed), wanted);
    }
}

#[test]
fn an_empty_table() {
    let wanted = rows(0);
    let make = Make::default();
    let sealed = make.open(make.file(&wanted)).unwrap();
    assert_eq!(sealed.rows(), 0);
    assert_eq!(decode(sealed), wanted);
}

#[test]
fn statistics_stay_and_places_that_are_gone_go() {
    let make = Make {
        ours: false,
        ..Make::default()
    };
    let sealed = Arc::new(make.open(make.file(&rows(1000))).unwrap());
    let metadata = metadata(&sealed);
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
fn things_lie_far_apart() {
    let make = Make::default();
    let sealed = make.open(make.file(&rows(1000))).unwrap();
    let places: Vec<_> = sealed.places().collect();
    assert_eq!(places.len(), 3 * 5 + 2);
    for pair in places.windows(2) {
        assert!(pair[1].start >= pair[0].end + (64 << 20));
    }
    let mut gap = [0xee; 1000];
    assert_eq!(sealed.read_at(&mut gap, places[1].end).unwrap(), 1000);
    assert_eq!(gap, [0; 1000]);
    assert_eq!(sealed.counters(), Counters::default());
}

#[test]
fn only_what_is_asked_for_is_decrypted() {
    let make = Make {
        group: 10,
        page: 10,
        ..Make::default()
    };
    let sealed = make.open(make.file(&rows(10_000))).unwrap();
    let (place, chunk) = chunks(&sealed)[777 * 5 + 2];
    let mut out = vec![0; chunk.exact.unwrap() as usize];
    sealed.read_at(&mut out, place).unwrap();
    let counted = sealed.counters();
    assert_eq!((counted.chunks, counted.pages), (1, 2));
    assert_eq!(counted.bytes, out.len() as u64);
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
        assert!(all_by(&sealed, step).unwrap() == wanted, "step {step}");
        // Headers are read with what follows them, bodies once more: never once per small read.
        assert!(
            source.read_bytes.load(Ordering::Relaxed) < 4 * source.len(),
            "step {step}"
        );
        assert_eq!(sealed.kept(), 0);
    }
}

#[test]
fn a_whole_chunk_is_read_once() {
    let make = Make {
        group: 100_000,
        page: 20_000,
        ..Make::default()
    };
    let source = Counting::new(make.file(&rows(100_000)));
    let sealed = SealedFile::open(
        Arc::clone(&source) as Arc<dyn ReadAt>,
        spec(&KEY, make.aad_prefix()),
    )
    .unwrap();
    let mut large = 0;
    for (place, chunk) in chunks(&sealed) {
        source.reads.store(0, Ordering::Relaxed);
        source.read_bytes.store(0, Ordering::Relaxed);
        let mut out = vec![0; usize::try_from(chunk.exact.unwrap()).unwrap()];
        sealed.read_at(&mut out, place).unwrap();
        assert_eq!(source.read_bytes.load(Ordering::Relaxed), chunk.stored);
        let reads = source.reads.load(Ordering::Relaxed);
        assert!(reads <= chunk.stored / (256 << 10) + 1);
        large += u64::from(reads > 1);
    }
    assert!(large > 0);
}

#[test]
fn a_slow_store_is_told_what_comes_next() {
    struct Slow(Vec<u8>, Duration, Mutex<Vec<(u64, u64)>>);
    impl ReadAt for Slow {
        fn len(&self) -> u64 {
            self.0.as_slice().len() as u64
        }
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            std::thread::sleep(self.1);
            self.0.read_exact_at(buf, offset)
        }
        fn will_need(&self, offset: u64, length: u64) {
            self.2.lock().unwrap().push((offset, length));
        }
    }
    let make = Make {
        group: 100_000,
        page: 20_000,
        ..Make::default()
    };
    let file = make.file(&rows(100_000));
    let source = Arc::new(Slow(file, Duration::from_millis(1), Mutex::default()));
    let sealed = SealedFile::open(
        Arc::clone(&source) as Arc<dyn ReadAt>,
        spec(&KEY, make.aad_prefix()),
    )
    .unwrap();
    let (place, chunk) = chunks(&sealed)[0];
    let mut out = vec![0; usize::try_from(chunk.exact.unwrap()).unwrap()];
    sealed.read_at(&mut out[..10], place).unwrap();
    assert_eq!(*source.2.lock().unwrap(), []);
    sealed.read_at(&mut out, place).unwrap();
    let told = source.2.lock().unwrap().clone();
    let [(offset, length)] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(offset + length, chunk.end());
    assert!(offset > chunk.start && length > chunk.stored / 2);
}

#[test]
fn threads_read_at_once() {
    let make = Make::default();
    let file = make.file(&rows(2000));
    let sealed = make.open(file).unwrap();
    let places: Vec<_> = sealed.places().collect();
    let wanted: Vec<Vec<u8>> = places
        .iter()
        .map(|place| {
            let mut bytes = vec![0; (place.end - place.start) as usize];
            sealed.read_at(&mut bytes, place.start).unwrap();
            bytes
        })
        .collect();
    let wrong = Mutex::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (sealed, places, wanted, wrong) = (&sealed, &places, &wanted, &wrong);
            scope.spawn(move || {
                for turn in 0..200 {
                    let which = (turn * 31 + thread) % places.len();
                    let wanted = &wanted[which];
                    let at = (turn * 7919 + thread * 104_729) % wanted.len();
                    let length = ((turn * 31) % 3000 + 1).min(wanted.len() - at);
                    let mut out = vec![0; length];
                    sealed
                        .read_at(&mut out, places[which].start + at as u64)
                        .unwrap();
                    if out[..] != wanted[at..at + length] {
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
        reads in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..5000), 1..20),
    ) {
        let make = Make { ours, ..Make::default() };
        let sealed = make.open(make.file(&rows(900))).unwrap();
        let places: Vec<_> = sealed.places().collect();
        for (which, at, length) in reads {
            let place = which.get(&places).clone();
            let mut wanted = vec![0; (place.end - place.start) as usize];
            sealed.read_at(&mut wanted, place.start).unwrap();
            let at = at.index(wanted.len() + 10);
            let mut out = vec![0xaa; length];
            let from = place.start + at as u64;
            let read = sealed.read_at(&mut out, from).unwrap();
            let left = sealed.virtual_len().saturating_sub(from);
            prop_assert_eq!(read as u64, left.min(length as u64));
            wanted.resize(at + length, 0);
            prop_assert!(out[..read] == wanted[at..at + read]);
        }
    }
}
