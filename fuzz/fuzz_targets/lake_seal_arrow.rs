//! An Arrow IPC stream of any content, and a file of it.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    duckblind_fuzz::seal::seal_bytes("t.arrows", data);
    duckblind_fuzz::seal::seal_bytes("t.arrow", data);
});
