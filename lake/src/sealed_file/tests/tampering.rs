//! Changed, cut, lengthened, shrinking and swapped files: an error, or exactly the right bytes.

use std::io;
use std::sync::{Arc, Mutex};

use super::super::testing::{KEY, Make, all, rows, spec};
use super::super::{ErrorKind, LakeError, ReadAt, SealedFile};
use super::chunks;

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
