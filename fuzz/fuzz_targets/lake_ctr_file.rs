//! A file under AES_GCM_CTR_V1 with bytes changed: an error or the right answer where its digests are
//! known, and no panic where it is read without.
#![no_main]
use std::collections::BTreeMap;
use std::sync::LazyLock;

use duckblind_fuzz::sealed::{self, Parts};
use duckblind_lake::manifest::Algorithm;
use duckblind_protocol::ids::Digest;
use libfuzzer_sys::fuzz_target;

struct Good {
    stored: Vec<u8>,
    digests: BTreeMap<String, Vec<Digest>>,
    plain: Vec<u8>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let parts = Parts::new().expect("a small sealed file");
    let stored = parts.ctr_file().expect("the same under CTR");
    let digests = sealed::digests(stored.clone()).expect("digests");
    let mut spec = sealed::spec();
    spec.columns.digests = digests.clone();
    let plain = sealed::read_as(stored.clone(), spec).expect("the unchanged file opens");
    Good {
        stored,
        digests,
        plain,
    }
});

fuzz_target!(|edits: Vec<(u16, u8)>| {
    let mut bytes = GOOD.stored.clone();
    for (at, byte) in edits {
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte;
    }
    let mut known = sealed::spec();
    // As a manifest says: with the other algorithm's number the file is another one.
    known.algorithm = Some(Algorithm::GcmCtr);
    known.columns.digests = GOOD.digests.clone();
    if let Some(out) = sealed::read_as(bytes.clone(), known) {
        assert!(out == GOOD.plain);
    }
    let mut accepted = sealed::spec();
    accepted.columns.accept_unauthenticated = ["n", "w"].map(str::to_owned).into();
    let _ = sealed::read_as(bytes, accepted);
});
