//! A Parquet file of any content. Known and not ours: the library takes seconds to pass over a long
//! list of booleans that it does not know.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| duckblind_fuzz::seal::seal_bytes("t.parquet", data));
