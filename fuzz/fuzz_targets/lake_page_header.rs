//! Page headers that their owner made: well encrypted, with anything in them.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Page, Parts};
use libfuzzer_sys::fuzz_target;

static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::new().expect("a small sealed file"));

fuzz_target!(|edits: Vec<(bool, u8, u8)>| {
    let mut parts = PARTS.clone();
    for (dictionary, at, byte) in edits {
        let page = if dictionary {
            Page::Dictionary
        } else {
            Page::Data
        };
        let edited = parts.edit_header(page, |header| {
            let at = usize::from(at) % header.len();
            header[at] = byte;
        });
        assert!(edited.is_some());
    }
    let _ = sealed::read(parts.file(&parts.footer));
});
