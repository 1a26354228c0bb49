//! What anybody can seal to an enclave's key: an envelope with anything in it.
#![no_main]
use duckblind_fuzz::job::{SECRET, STATEMENT};
use duckblind_protocol::open::open_order;
use duckblind_protocol::sealed_job::{self, SealedJob};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _, setup_sender};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = <XWing as Kem>::PublicKey::from_bytes(SECRET.public_key()).expect("a key");
    let info = [b"duckblind/v1/job".as_slice(), STATEMENT.as_bytes()].concat();
    let (enc, mut context) =
        setup_sender::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &key, &info)
            .expect("a context");
    let job = SealedJob {
        v: sealed_job::VERSION,
        key_statement: STATEMENT,
        enc: enc.to_bytes().to_vec(),
        order: context.seal(data, b"duckblind/v1/order").expect("sealing"),
        sections: vec![],
    };
    // Nobody signed it for this encapsulation.
    assert!(open_order(&SECRET, &STATEMENT, &job).is_err());
});
