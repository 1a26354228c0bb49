//! The clear words in front of an encrypted footer, and what an importer reads of them.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Parts};
use duckblind_lake::sealed_file::inspect;
use libfuzzer_sys::fuzz_target;

static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::new().expect("a small sealed file"));

fuzz_target!(|splices: Vec<(u8, u8, Vec<u8>)>| {
    let mut crypto = PARTS.crypto().to_vec();
    sealed::splice(&mut crypto, splices);
    let file = PARTS.file_behind(&crypto);
    let _ = inspect(&file);
    let _ = sealed::read(file);
});
