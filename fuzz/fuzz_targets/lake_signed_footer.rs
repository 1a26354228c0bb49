//! A footer in the clear: as anybody may change it, and as its owner may have signed it.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Parts};
use duckblind_lake::sealed_file::inspect;
use libfuzzer_sys::fuzz_target;

static GOOD: LazyLock<(Parts, Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let parts = Parts::new().expect("a small sealed file");
    let footer = parts.clear_footer().expect("its footer in the clear");
    let plain = sealed::read(parts.file_in_the_clear(&footer, &footer));
    (parts, footer, plain.expect("the unchanged file opens"))
});

fuzz_target!(|input: (bool, Vec<(u16, u8, Vec<u8>)>)| {
    let (by_owner, splices) = input;
    let (parts, footer, plain) = &*GOOD;
    let mut changed = footer.clone();
    sealed::splice(&mut changed, splices);
    let signed = if by_owner { &changed } else { footer };
    let file = parts.file_in_the_clear(signed, &changed);
    let _ = inspect(&file);
    if let Some(out) = sealed::read(file) {
        assert!(by_owner || out == *plain);
    }
});
