//! A sealed job with bytes changed: it does not open.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::job::{SECRET, STATEMENT, sealed_to};
use duckblind_protocol::open::open_order;
use duckblind_protocol::sealed_job::SealedJob;
use libfuzzer_sys::fuzz_target;

static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (job, _) = sealed_to(SECRET.public_key()).expect("a sealed job");
    assert!(open_order(&SECRET, &STATEMENT, &job).is_ok());
    job.encode()
});

fuzz_target!(|edits: Vec<(u16, u8)>| {
    let mut bytes = SEALED.clone();
    for (at, byte) in edits {
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte;
    }
    if let Ok(job) = SealedJob::decode(&bytes) {
        let opened = open_order(&SECRET, &STATEMENT, &job);
        assert_eq!(opened.is_ok(), bytes == *SEALED);
    }
});
