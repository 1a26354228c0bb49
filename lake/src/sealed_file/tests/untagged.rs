//! Chunks without tags: held against their digests, however often the store changes its mind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::testing::{Encrypt, Make, all, all_by, rows, version_2};
use super::super::thrift::{Compact, kind};
use super::super::{LakeError, ReadAt, SealedFile};
use super::chunks;
use crate::manifest::Algorithm;

/// Gives right bytes until a number of reads were done, then changes one byte of each.
struct Fickle {
    bytes: Vec<u8>,
    good: usize,
    reads: AtomicUsize,
    from: u64,
}

impl ReadAt for Fickle {
    fn len(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buf, offset)?;
        if offset >= self.from && self.reads.fetch_add(1, Ordering::SeqCst) >= self.good {
            let middle = buf.len() / 2;
            buf[middle] ^= 1;
        }
        Ok(())
    }
}

/// One file, and from some time on another one.
struct Exchanged {
    first: Vec<u8>,
    then: Vec<u8>,
    swapped: AtomicBool,
}

impl ReadAt for Exchanged {
    fn len(&self) -> u64 {
        self.first.as_slice().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let now = self.swapped.load(Ordering::SeqCst);
        let bytes = if now { &self.then } else { &self.first };
        bytes.read_exact_at(buf, offset)
    }
}

/// The leaves of [`rows`].
const PATHS: [&str; 5] = ["id", "f", "word", "flag", "list.list.item"];

fn clear() -> Encrypt {
    let mut clear = Encrypt::default();
    clear.clear.extend(PATHS);
    clear
}

#[test]
fn a_store_that_changes_its_mind_is_found_out() {
    // Chunks of several blocks.
    let make = Make {
        group: 100_000,
        page: 5_000,
        ..Make::default()
    };
    let plain = make.plain(&rows(100_000));
    for variant in [Encrypt::ctr(), clear()] {
        let file = variant.file(&plain);
        let right = variant.open(file.clone()).unwrap();
        let (place, chunk) = chunks(&right)[0];
        assert!(chunk.stored > 3 * (256 << 10));
        let mut wanted = vec![0; chunk.room() as usize];
        right.read_at(&mut wanted, place).unwrap();
        let (mut right_answers, mut errors) = (0, 0);
        for good in 0..24 {
            let source = Fickle {
                bytes: file.clone(),
                good,
                reads: AtomicUsize::new(0),
                from: u64::MAX,
            };
            let source = Arc::new(Fickle { from: 4, ..source });
            // Opening reads the tail and the footer.
            source.reads.store(0, Ordering::SeqCst);
            let spec = variant.spec_for(&file);
            let opened = SealedFile::open(Arc::clone(&source) as Arc<dyn ReadAt>, spec);
            let Ok(sealed) = opened else {
                errors += 1;
                continue;
            };
            for step in [wanted.len(), 100_000] {
                let mut got = vec![0xee; wanted.len()];
                let mut at = 0;
                let read = got.chunks_mut(step).try_for_each(|room| {
                    let read = sealed.read_at(room, place + at);
                    at += room.len() as u64;
                    read.map(drop).inspect_err(|_| {
                        assert!(room.iter().all(|byte| *byte == 0));
                    })
                });
                match read {
                    Ok(()) => {
                        assert!(got == wanted, "wrong bytes after {good} reads");
                        right_answers += 1;
                    }
                    Err(LakeError::ChunkDigest { row_group, column }) => {
                        assert_eq!((row_group, column.as_str()), (0, "id"));
                        errors += 1;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
        assert!(right_answers > 0 && errors > 5, "{right_answers} {errors}");
    }
}

#[test]
fn without_a_digest_nothing_is_read_unless_that_is_accepted() {
    let plain = Make::default().plain(&rows(1000));
    for variant in [Encrypt::ctr(), clear()] {
        let file = variant.file(&plain);
        let sealed = SealedFile::open(Arc::new(file.clone()), variant.spec()).unwrap();
        let (place, _) = chunks(&sealed)[5];
        let mut one = [0xee];
        assert_eq!(
            sealed.read_at(&mut one, place),
            Err(LakeError::Unauthenticated {
                row_group: 1,
                column: "id".into()
            })
        );
        assert_eq!(one, [0]);

        let mut spec = variant.spec();
        spec.columns.accept_unauthenticated = PATHS.map(str::to_owned).into();
        let accepted = SealedFile::open(Arc::new(file.clone()), spec).unwrap();
        let right = variant.open(file.clone()).unwrap();
        assert!(all(&accepted).unwrap() == all(&right).unwrap());

        // A digest that is there is checked, whatever is accepted.
        let mut spec = variant.spec_for(&file);
        spec.columns.accept_unauthenticated = PATHS.map(str::to_owned).into();
        let mut changed = file;
        let at = chunks(&right)[0].1.end() as usize - 1;
        changed[at] ^= 1;
        let sealed = SealedFile::open(Arc::new(changed), spec).unwrap();
        let digest = LakeError::ChunkDigest {
            row_group: 0,
            column: "id".into(),
        };
        assert_eq!(all(&sealed), Err(digest.clone()));
        assert_eq!(all_by(&sealed, 100), Err(digest));
    }
}

#[test]
fn what_is_accepted_stays_what_it_was() {
    let plain = Make::default().plain(&rows(1000));
    for variant in [Encrypt::ctr(), clear()] {
        let first = variant.file(&plain);
        let right = variant.open(first.clone()).unwrap();
        let mut then = first.clone();
        then[chunks(&right)[0].1.end() as usize - 1] ^= 1;
        let mut spec = variant.spec();
        spec.columns.accept_unauthenticated = PATHS.map(str::to_owned).into();
        let source = Arc::new(Exchanged {
            first,
            then,
            swapped: AtomicBool::new(false),
        });
        let sealed = SealedFile::open(Arc::clone(&source) as Arc<dyn ReadAt>, spec).unwrap();
        assert!(all(&sealed).unwrap() == all(&right).unwrap());
        source.swapped.store(true, Ordering::SeqCst);
        assert_eq!(
            all(&sealed),
            Err(LakeError::ChunkDigest {
                row_group: 0,
                column: "id".into()
            })
        );
    }
}

#[test]
fn a_clear_page_that_lies_about_its_size_is_not_given_out() {
    let variant = clear();
    let mut file = variant.file(&version_2());
    let right = variant.open(file.clone()).unwrap();
    let (place, chunk) = chunks(&right)[3];
    let flag = chunk.start as usize + compressed_flag(&file[chunk.start as usize..]);
    assert_eq!(file[flag], 0x10 | kind::TRUE);
    file[flag] = 0x10 | kind::FALSE;
    let mut accepted = variant.spec();
    accepted.columns.accept_unauthenticated = PATHS.map(str::to_owned).into();
    // A digest says that the bytes are those of the import, not that they are good.
    for spec in [accepted, variant.spec_for(&file)] {
        let sealed = SealedFile::open(Arc::new(file.clone()), spec).unwrap();
        for length in [1, chunk.room() as usize] {
            let mut got = vec![0xee; length];
            assert_eq!(
                sealed.read_at(&mut got, place),
                Err(LakeError::PageForm {
                    row_group: 0,
                    column: "flag".into()
                })
            );
            assert!(got.iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn lengths_that_could_wrap_are_not_given_out_unknown() {
    for variant in [Encrypt::ctr(), clear()] {
        let file = variant.file(&version_2());
        let right = variant.open(file.clone()).unwrap();
        assert!(all(&right).is_ok());
        let mut spec = variant.spec();
        spec.columns.accept_unauthenticated = PATHS.map(str::to_owned).into();
        let sealed = SealedFile::open(Arc::new(file), spec).unwrap();
        // Strings without a dictionary are under DELTA_BYTE_ARRAY in pages of version 2.
        for (column, (place, _)) in PATHS.iter().zip(chunks(&sealed)) {
            let read = sealed.read_at(&mut [0], place);
            let refused = Err(LakeError::PageForm {
                row_group: 0,
                column: (*column).into(),
            });
            assert_eq!(read, if *column == "word" { refused } else { Ok(1) });
        }
    }
}

/// Where the header of a data page of version 2 says whether it is compressed.
fn compressed_flag(page: &[u8]) -> usize {
    let (mut read, mut last) = (Compact::new(page), 0);
    while let Some(field) = read.next(&mut last).unwrap() {
        if field.id != 8 {
            read.skip(field.kind).unwrap();
            continue;
        }
        let mut inner = 0;
        while let Some(field) = read.next(&mut inner).unwrap() {
            if field.id == 7 {
                return read.at() - 1;
            }
            read.skip(field.kind).unwrap();
        }
    }
    panic!("not a data page of version 2");
}

#[test]
fn which_chunks_need_digests() {
    let plain = Make::default().plain(&rows(1000));
    for (name, variant) in Encrypt::variants() {
        let sealed = variant.open(variant.file(&plain)).unwrap();
        let digests = sealed.chunk_digests().unwrap();
        for chunk in sealed.stored_chunks() {
            let clear = variant.clear.contains(chunk.path);
            assert_eq!(chunk.clear, clear, "{name}");
            let untagged = clear || variant.algorithm == Algorithm::GcmCtr;
            assert_eq!(chunk.needs_digest, untagged, "{name}");
            let known = digests.get(chunk.path).map(|all| all[chunk.row_group]);
            assert_eq!(known.is_some(), untagged, "{name}");
        }
        assert!(digests.values().all(|digests| digests.len() == 3));
    }
}
