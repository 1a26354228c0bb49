#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| duckblind_fuzz::seal::seal_bytes("t.csv", data));
