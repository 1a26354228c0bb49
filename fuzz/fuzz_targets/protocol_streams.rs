//! Chunks, status and control messages that nobody with the keys sealed: they do not open.
#![no_main]
use std::sync::LazyLock;

use duckblind_fuzz::job::{SECRET, STATEMENT, sealed_to};
use duckblind_protocol::hazmat::RequesterSession;
use duckblind_protocol::ids::ResponseNonce;
use duckblind_protocol::open::{OpenedJob, open_order};
use libfuzzer_sys::fuzz_target;

const NONCE: ResponseNonce = ResponseNonce::from_bytes([3; 32]);

static JOB: LazyLock<(RequesterSession, OpenedJob)> = LazyLock::new(|| {
    let (job, session) = sealed_to(SECRET.public_key()).expect("a sealed job");
    let opened = open_order(&SECRET, &STATEMENT, &job).expect("it opens");
    (session, opened)
});

fuzz_target!(|data: &[u8]| {
    let (session, opened) = &*JOB;
    let mut result = session.result(&NONCE).expect("a result key");
    let mut status = session.status(&NONCE).expect("a status key");
    let mut control = opened.control().expect("a control key");
    assert!(result.open(data.to_vec()).is_err());
    assert!(status.open(data.to_vec()).is_err());
    assert!(control.open(data.to_vec()).is_err());
});
