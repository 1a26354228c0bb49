//! Changed, cut, lengthened, shrinking and swapped files: an error, or exactly the right bytes.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::bloom::EMPTY;
use super::super::layout::Content;
use super::super::testing::{Encrypt, KEY, Make, all, all_by, rows, spec};
use super::super::{ErrorKind, FileSpec, LakeError, ReadAt, SealedFile};

/// Small, with several row groups and pages.
fn small() -> Make {
    Make {
        group: 30,
        page: 15,
        ..Make::default()
    }
}

/// Opens and reads a changed file: an error, or exactly the right bytes.
fn error_or_right(spec: FileSpec, changed: Vec<u8>, wanted: &[u8]) -> Option<LakeError> {
    let sealed = match SealedFile::open(Arc::new(changed), spec) {
        Ok(sealed) => sealed,
        Err(error) => return Some(error),
    };
    // Small reads first: they take another way than whole chunks.
    let in_pieces = all_by(&sealed, 333);
    match (all(&sealed), in_pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert!(whole == wanted && pieces == wanted, "a wrong answer");
            None
        }
        (Err(one), Err(_)) => Some(one),
        (whole, pieces) => panic!("reads disagree: {:?} {:?}", whole.err(), pieces.err()),
    }
}

#[test]
fn every_byte_flipped() {
    let plain = small().plain(&rows(60));
    for (name, variant) in Encrypt::variants() {
        let file = variant.file(&plain);
        let wanted = all(&variant.open(file.clone()).unwrap()).unwrap();
        let digests = variant.spec_for(&file).columns.digests;
        let mut harmless = 0;
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= [0x01, 0x80, 0xff][at % 3];
            let mut spec = variant.spec();
            spec.columns.digests = digests.clone();
            if error_or_right(spec, changed, &wanted).is_none() {
                harmless += 1;
            }
        }
        // In front of an encrypted footer stand words about its key that nothing reads here; no other
        // byte says nothing.
        let words = b"of the footer".len();
        let expected = if variant.plaintext_footer { 0 } else { words };
        assert_eq!(harmless, expected, "{name}");
    }
}

#[test]
fn every_bit_of_every_module_s_head_flipped() {
    let plain = small().plain(&rows(60));
    for (name, variant) in Encrypt::variants() {
        let (file, modules) = variant.file_and_modules(&plain);
        let wanted = all(&variant.open(file.clone()).unwrap()).unwrap();
        let digests = variant.spec_for(&file).columns.digests;
        for module in modules.iter().step_by(3) {
            for bit in 0..8 * 16 {
                let mut changed = file.clone();
                changed[module.from + bit / 8] ^= 1 << (bit % 8);
                let mut spec = variant.spec();
                spec.columns.digests = digests.clone();
                assert!(error_or_right(spec, changed, &wanted).is_some(), "{name}");
            }
        }
    }
}

#[test]
fn every_module_swapped_with_every_other_of_its_size() {
    let plain = small().plain(&rows(120));
    for (name, variant) in Encrypt::variants() {
        let (file, modules) = variant.file_and_modules(&plain);
        let wanted = all(&variant.open(file.clone()).unwrap()).unwrap();
        let digests = variant.spec_for(&file).columns.digests;
        let mut by_size = BTreeMap::<usize, Vec<usize>>::new();
        for module in &modules {
            by_size.entry(module.length).or_default().push(module.from);
        }
        let mut swapped = 0;
        for (length, places) in by_size {
            for (at, one) in places.iter().enumerate() {
                for two in &places[at + 1..] {
                    let mut changed = file.clone();
                    changed[*one..one + length].copy_from_slice(&file[*two..two + length]);
                    changed[*two..two + length].copy_from_slice(&file[*one..one + length]);
                    let mut spec = variant.spec();
                    spec.columns.digests = digests.clone();
                    let found = error_or_right(spec, changed, &wanted);
                    assert!(found.is_some(), "{name}: {one} and {two}");
                    swapped += 1;
                }
            }
        }
        assert!(swapped > 20, "{name}: {swapped}");
    }
}

#[test]
fn chunks_of_another_file_under_the_same_keys() {
    // The same rows and keys, but for the AAD: every module has its size in both files.
    let plain = small().plain(&rows(60));
    for (name, mut variant) in Encrypt::variants() {
        variant.prefix = Some(b"duckblind/v1/orders/00");
        let file = variant.file(&plain);
        let wanted = all(&variant.open(file.clone()).unwrap()).unwrap();
        let digests = variant.spec_for(&file).columns.digests;
        let mut other = variant.clone();
        other.prefix = Some(b"duckblind/v1/orders/11");
        let (theirs, modules) = other.file_and_modules(&plain);
        assert_eq!(file.len(), theirs.len());
        for module in &modules {
            let range = module.from..module.from + module.length;
            let mut changed = file.clone();
            changed[range.clone()].copy_from_slice(&theirs[range]);
            if changed == file {
                continue;
            }
            let mut spec = variant.spec();
            spec.columns.digests = digests.clone();
            assert!(error_or_right(spec, changed, &wanted).is_some(), "{name}");
        }
    }
}

#[test]
fn bloom_filters_flipped_drop_no_row_group() {
    let make = Make {
        bloom: true,
        ..small()
    };
    let variant = Encrypt::default();
    let file = variant.file(&make.plain(&rows(30)));
    let right = variant.open(file.clone()).unwrap();
    let places: Vec<_> = right.places().collect();
    let read = |sealed: &SealedFile| -> Vec<Result<Vec<u8>, LakeError>> {
        let one = |place: &std::ops::Range<u64>| {
            let mut bytes = vec![0; (place.end - place.start) as usize];
            sealed.read_at(&mut bytes, place.start).map(|_| bytes)
        };
        places.iter().map(one).collect()
    };
    let wanted = read(&right);
    let end = file.len() - 3000;
    for at in (4..end).step_by(97) {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        let Ok(sealed) = variant.open(changed) else {
            continue;
        };
        let different = read(&sealed);
        let changed = different
            .iter()
            .zip(&wanted)
            .filter(|(one, two)| one != two);
        let mut count = 0;
        for (found, _) in changed {
            count += 1;
            if let Ok(found) = found {
                assert!(found.starts_with(EMPTY));
                assert!(found[EMPTY.len()..].iter().all(|byte| *byte == 0));
            }
        }
        assert_eq!(count, 1, "byte {at}");
    }
}

#[test]
fn cut_anywhere_and_lengthened() {
    let plain = small().plain(&rows(60));
    for (name, variant) in Encrypt::variants() {
        let file = variant.file(&plain);
        for cut in 0..file.len() {
            let error = SealedFile::open(Arc::new(file[..cut].to_vec()), variant.spec());
            let error = error.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Tampered),
                "{name}, {cut}: {error:?}"
            );
            let mut spec = variant.spec();
            spec.size = Some(file.len() as u64);
            let error = SealedFile::open(Arc::new(file[..cut].to_vec()), spec).unwrap_err();
            assert!(matches!(error, LakeError::Size { .. }), "{cut}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(SealedFile::open(Arc::new(longer), variant.spec()).is_err());
    }
}

#[test]
fn a_plaintext_file_is_a_downgrade() {
    let plain = small().plain(&rows(60));
    for (_, variant) in Encrypt::variants() {
        let error = SealedFile::open(Arc::new(plain.clone()), variant.spec()).unwrap_err();
        assert_eq!(error, LakeError::Plaintext);
    }
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
fn swapped_files_are_refused_by_the_aad() {
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
}

/// A file that its store exchanges.
struct Exchanged {
    files: [Vec<u8>; 2],
    now: AtomicUsize,
}

impl ReadAt for Exchanged {
    fn len(&self) -> u64 {
        ReadAt::len(&self.files[0])
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.files[self.now.load(Ordering::SeqCst)].read_exact_at(buf, offset)
    }
}

#[test]
fn bloom_filters_are_the_same_at_every_read() {
    let make = Make {
        bloom: true,
        ..small()
    };
    let variant = Encrypt::default();
    let good = variant.file(&make.plain(&rows(30)));
    let right = variant.open(good.clone()).unwrap();
    let blooms = right.slots().iter();
    let place = blooms
        .filter(|slot| matches!(slot.content, Content::Bloom(_)))
        .map(|slot| slot.place..slot.end())
        .next()
        .unwrap();
    let length = (place.end - place.start) as usize;
    let read = |sealed: &SealedFile| {
        let mut bytes = vec![0xee; length];
        sealed.read_at(&mut bytes, place.start).map(|_| bytes)
    };
    let wanted = read(&right).unwrap();
    // One byte of this very filter.
    let bad = (4..good.len())
        .map(|at| {
            let mut bad = good.clone();
            bad[at] ^= 1;
            bad
        })
        .find(|bad| {
            let opened = SealedFile::open(Arc::new(bad.clone()), variant.spec_for(&good));
            opened.is_ok_and(|sealed| read(&sealed).as_ref() != Ok(&wanted))
        })
        .unwrap();
    let open = |now| {
        let files = [good.clone(), bad.clone()];
        let source = Arc::new(Exchanged {
            files,
            now: AtomicUsize::new(now),
        });
        let sealed = SealedFile::open(source.clone(), variant.spec_for(&good)).unwrap();
        (source, sealed)
    };
    // A header that was shown, then a bitset that is not its own.
    let (source, sealed) = open(0);
    assert_eq!(read(&sealed).as_ref(), Ok(&wanted));
    source.now.store(1, Ordering::SeqCst);
    assert!(matches!(read(&sealed), Err(LakeError::Tampered { .. })));
    source.now.store(0, Ordering::SeqCst);
    assert_eq!(read(&sealed).as_ref(), Ok(&wanted));
    // A header of nothing, then a bitset.
    let (source, sealed) = open(1);
    let empty = read(&sealed).unwrap();
    assert!(empty.starts_with(EMPTY));
    source.now.store(0, Ordering::SeqCst);
    assert_eq!(read(&sealed), Ok(empty));
}
