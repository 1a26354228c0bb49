//! A footer that its owner made: well encrypted, with anything in it. Known and not ours: the
//! Parquet library takes seconds to pass over a long list of booleans that it does not know.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Parts};
use libfuzzer_sys::fuzz_target;

static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::new().expect("a small sealed file"));

fuzz_target!(|splices: Vec<(u16, u8, Vec<u8>)>| {
    let mut footer = PARTS.footer.clone();
    for (at, drop, insert) in splices {
        let from = usize::from(at) % (footer.len() + 1);
        let to = (from + usize::from(drop)).min(footer.len());
        footer.splice(from..to, insert);
    }
    let _ = sealed::read(PARTS.file(&footer));
});
