//! A sealed file with bytes changed or cut off: an error or the right answer.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed;
use libfuzzer_sys::fuzz_target;

static SEALED: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let stored = sealed::stored().expect("a small sealed file");
    let plain = sealed::read(stored.clone()).expect("the unchanged file opens");
    (stored, plain)
});

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
    if let Some(out) = sealed::read(bytes) {
        assert!(out == *plain);
    }
});
