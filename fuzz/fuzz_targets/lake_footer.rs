//! A footer that its owner made: well encrypted, with anything in it.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Parts};
use libfuzzer_sys::fuzz_target;

static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::new().expect("a small sealed file"));

fuzz_target!(|splices: Vec<(u16, u8, Vec<u8>)>| {
    let mut footer = PARTS.footer.clone();
    sealed::splice(&mut footer, splices);
    let _ = sealed::read(PARTS.file(&footer));
});
