//! One job from seal to receipt, and everything that must not open.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use ed25519_dalek::SigningKey;
use hpke::{Deserializable as _, Serializable as _};

use crate::body::{QuerySection, Section};
use crate::cbor;
use crate::control::ControlMessage;
use crate::golden;
use crate::hazmat::{RequesterSession, seal};
use crate::ids::{Digest, JobId, ResponseNonce, Signature};
use crate::job_code::{JobCode, JobError};
use crate::kem::{Aead, Kdf, Kem, KemSecret};
use crate::labels;
use crate::open::{OpenError, OpenedJob, open_order, open_section};
use crate::order::{OrderDraft, SignedOrder};
use crate::result_stream::{
    CHUNK_PLAINTEXT, FinalStatus, Opened, ResultOpener, ResultSealer, StreamError,
};
use crate::sealed_job::{SealedJob, SealedSection};
use crate::status::StatusMessage;

const STATEMENT: Digest = Digest::from_bytes([0xab; 32]);
const NONCE: ResponseNonce = ResponseNonce::from_bytes([0xcd; 32]);

fn draft(job: u8) -> OrderDraft {
    let order = golden::order();
    OrderDraft {
        job: JobId::from_bytes([job; 16]),
        ticket: order.ticket,
        class: order.class,
        limits: order.limits,
        expiry_ms: order.expiry_ms,
        endpoints: order.endpoints,
        inputs: order.inputs,
    }
}

fn sealed(secret: &KemSecret, job: u8) -> (SealedJob, RequesterSession) {
    let signer = SigningKey::from_bytes(&[3; 32]);
    seal(
        secret.public_key(),
        &STATEMENT,
        draft(job),
        &golden::query(),
        &signer,
    )
    .unwrap()
}

fn refused(secret: &KemSecret, job: &SealedJob) -> OpenError {
    match open_order(secret, &STATEMENT, job) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[test]
fn a_job_opens_for_its_two_readers() {
    let secret = KemSecret::generate().unwrap();
    let (job, session) = sealed(&secret, 1);
    let job = SealedJob::decode(&job.encode()).unwrap();
    let mut opened = open_order(&secret, &STATEMENT, &job).unwrap();
    assert_eq!(opened.order.inputs, golden::order().inputs);
    assert_eq!(opened.order_digest, *session.order_digest());
    assert_eq!(opened.enc_digest, *session.enc_digest());

    let key = opened.take_section_key(Section::Query).unwrap();
    assert!(opened.take_section_key(Section::Query).is_none());
    let ciphertext = job.sections[0].ciphertext.clone();
    let enc = opened.enc_digest;
    let body = open_section(&key, Section::Query, &opened.order.job, &enc, ciphertext).unwrap();
    assert!(QuerySection::decode(&body).unwrap() == golden::query());
}

#[test]
fn what_was_changed_or_is_foreign_does_not_open() {
    let secret = KemSecret::generate().unwrap();
    let (job, _) = sealed(&secret, 1);
    let (other, _) = sealed(&secret, 2);

    for at in [0, 500, 1119] {
        let mut changed = job.clone();
        changed.enc[at] ^= 1;
        assert!(matches!(refused(&secret, &changed), OpenError::Sealed));
    }
    for at in 0..job.order.len() {
        let mut changed = job.clone();
        changed.order[at] ^= 1;
        assert!(matches!(refused(&secret, &changed), OpenError::Sealed));
    }
    let mut changed = job.clone();
    changed.sections[0].ciphertext[0] ^= 1;
    assert!(matches!(
        refused(&secret, &changed),
        OpenError::SectionDigest
    ));
    let mut spliced = job.clone();
    spliced.sections = other.sections.clone();
    assert!(matches!(
        refused(&secret, &spliced),
        OpenError::SectionDigest
    ));
    let mut spliced = job.clone();
    spliced.order = other.order;
    assert!(matches!(refused(&secret, &spliced), OpenError::Sealed));

    let foreign = KemSecret::generate().unwrap();
    assert!(matches!(refused(&foreign, &job), OpenError::Sealed));
    let elsewhere = open_order(&secret, &Digest::of(b"another statement"), &job);
    assert!(matches!(elsewhere, Err(OpenError::OtherKey)));
    // The digest in the clear is not what binds: `info` is.
    let mut renamed = job.clone();
    renamed.key_statement = Digest::of(b"another statement");
    let elsewhere = open_order(&secret, &renamed.key_statement, &renamed);
    assert!(matches!(elsewhere, Err(OpenError::Sealed)));
}

/// An order sealed by hand: right in everything but what `sign` makes of the signed bytes.
fn sealed_by_hand(secret: &KemSecret, sign: impl Fn(&Digest, &[u8]) -> Signature) -> SealedJob {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(secret.public_key()).unwrap();
    let info = [labels::JOB_INFO.as_bytes(), STATEMENT.as_bytes()].concat();
    let (enc, mut context) =
        hpke::setup_sender::<Aead, Kdf, Kem>(&hpke::OpModeS::Base, &public, &info).unwrap();
    let enc = enc.to_bytes().to_vec();
    let section = SealedSection {
        name: Section::Query,
        ciphertext: vec![0; 32],
    };
    let mut order = golden::order();
    order.sections[0].digest = Digest::of(&section.ciphertext);
    let order = cbor::encode(&order);
    let signature = sign(&Digest::of(&enc), &order);
    let signed = cbor::encode(&SignedOrder { order, signature });
    SealedJob {
        v: 1,
        key_statement: STATEMENT,
        order: context.seal(&signed, labels::ORDER_AAD.as_bytes()).unwrap(),
        enc,
        sections: vec![section],
    }
}

#[test]
fn the_signature_covers_statement_encapsulation_and_order() {
    let secret = KemSecret::generate().unwrap();
    let key = SigningKey::from_bytes(&[0x42; 32]);
    let sign = |statement: &Digest, enc: &Digest, order: &[u8]| {
        Signature::sign(&key, &SignedOrder::message(statement, enc, order))
    };
    let right = sealed_by_hand(&secret, |enc, order| sign(&STATEMENT, enc, order));
    assert!(open_order(&secret, &STATEMENT, &right).is_ok());
    let other = Digest::of(b"other");
    let stranger = SigningKey::from_bytes(&[1; 32]);
    let wrong = [
        sealed_by_hand(&secret, |enc, order| sign(&other, enc, order)),
        sealed_by_hand(&secret, |_, order| sign(&STATEMENT, &other, order)),
        sealed_by_hand(&secret, |enc, _| sign(&STATEMENT, enc, b"other")),
        sealed_by_hand(&secret, |enc, order| {
            Signature::sign(&stranger, &SignedOrder::message(&STATEMENT, enc, order))
        }),
    ];
    for job in wrong {
        assert!(matches!(refused(&secret, &job), OpenError::Signature));
    }
}

#[test]
fn a_section_opens_only_in_its_job() {
    let secret = KemSecret::generate().unwrap();
    let (job, _) = sealed(&secret, 1);
    let mut opened = open_order(&secret, &STATEMENT, &job).unwrap();
    let key = opened.take_section_key(Section::Query).unwrap();
    let enc = opened.enc_digest;
    let ciphertext = || job.sections[0].ciphertext.clone();
    let id = opened.order.job;
    assert!(open_section(&key, Section::Query, &id, &enc, ciphertext()).is_ok());
    let other = JobId::from_bytes([9; 16]);
    assert!(open_section(&key, Section::Query, &other, &enc, ciphertext()).is_err());
    assert!(open_section(&key, Section::Fetcher, &id, &enc, ciphertext()).is_err());
    assert!(open_section(&key, Section::Query, &id, &Digest::of(b""), ciphertext()).is_err());
}

fn both_ends(secret: &KemSecret, job: u8) -> (OpenedJob, RequesterSession) {
    let (sealed, session) = sealed(secret, job);
    (open_order(secret, &STATEMENT, &sealed).unwrap(), session)
}

fn stream(chunks: &[&[u8]], status: FinalStatus) -> (Vec<Vec<u8>>, RequesterSession) {
    let (opened, session) = both_ends(&KemSecret::generate().unwrap(), 1);
    let key = opened.result_key(&NONCE).unwrap();
    let mut sealer = ResultSealer::new(&key, &opened.order.job).unwrap();
    let mut out = Vec::new();
    for chunk in chunks {
        let mut buffer = chunk.to_vec();
        sealer.seal_data(&mut buffer).unwrap();
        out.push(buffer);
    }
    out.push(sealer.finish(status).unwrap());
    (out, session)
}

fn read(mut opener: ResultOpener, chunks: Vec<Vec<u8>>) -> Result<(Vec<u8>, bool), StreamError> {
    let mut data = Vec::new();
    let mut whole = false;
    for chunk in chunks {
        match opener.open(chunk)? {
            Opened::Data(bytes) => data.extend(bytes),
            Opened::Final(_) => whole = true,
        }
    }
    Ok((data, whole))
}

#[test]
fn a_result_comes_through_whole_or_not_at_all() {
    let ok = FinalStatus::Ok { rows: 2 };
    let (chunks, session) = stream(&[b"one", b"two", b""], ok);
    let result = || session.result(&NONCE).unwrap();
    let whole = read(result(), chunks.clone()).unwrap();
    assert_eq!(whole, (b"onetwo".to_vec(), true));

    let mut truncated = chunks.clone();
    truncated.pop();
    assert!(!read(result(), truncated).unwrap().1);
    let mut dropped = chunks.clone();
    dropped.remove(1);
    assert!(read(result(), dropped).is_err());
    let mut swapped = chunks.clone();
    swapped.swap(0, 1);
    assert!(read(result(), swapped).is_err());
    let mut repeated = chunks.clone();
    repeated.insert(1, chunks[0].clone());
    assert!(read(result(), repeated).is_err());
    let mut after = chunks.clone();
    after.push(chunks[3].clone());
    assert!(matches!(
        read(result(), after),
        Err(StreamError::AfterFinal)
    ));
    for index in 0..chunks.len() {
        for at in 0..chunks[index].len() {
            let mut changed = chunks.clone();
            changed[index][at] ^= 0x80;
            assert!(read(result(), changed).is_err());
        }
    }
    let (foreign, _) = stream(&[b"one"], FinalStatus::Ok { rows: 1 });
    assert!(read(result(), foreign).is_err());
    let other_nonce = session.result(&ResponseNonce::from_bytes([0; 32])).unwrap();
    assert!(read(other_nonce, chunks).is_err());
}

#[test]
fn the_receipts_count_and_hash_are_those_of_the_relayed_chunks() {
    let (chunks, session) = stream(&[b"one", b"two"], FinalStatus::Ok { rows: 2 });
    let mut relayed = crate::result_stream::Transcript::new();
    let mut opener = session.result(&NONCE).unwrap();
    for chunk in chunks {
        relayed.update(&chunk);
        opener.open(chunk).unwrap();
    }
    assert_eq!(opener.relayed(), (3, relayed.finish()));
}

#[test]
fn no_chunk_is_larger_than_a_frame() {
    let (opened, _) = both_ends(&KemSecret::generate().unwrap(), 1);
    let key = opened.result_key(&NONCE).unwrap();
    let mut sealer = ResultSealer::new(&key, &opened.order.job).unwrap();
    let mut buffer = vec![0; CHUNK_PLAINTEXT];
    sealer.seal_data(&mut buffer).unwrap();
    assert!(buffer.len() <= crate::frames::MAX_CHUNK);
    let mut buffer = vec![0; CHUNK_PLAINTEXT + 1];
    assert!(matches!(
        sealer.seal_data(&mut buffer),
        Err(StreamError::TooLarge)
    ));
}

#[test]
fn control_and_status_are_ordered_and_one_way() {
    let (opened, session) = both_ends(&KemSecret::generate().unwrap(), 1);
    let mut seal_control = session.control().unwrap();
    let first = seal_control.seal(ControlMessage::KeepAlive).unwrap();
    let second = seal_control.seal(ControlMessage::Cancel).unwrap();

    let mut control = opened.control().unwrap();
    assert_eq!(
        control.open(first.clone()).unwrap(),
        ControlMessage::KeepAlive
    );
    assert!(control.open(first.clone()).is_err(), "repeated");
    assert!(
        control.open(second.clone()).is_err(),
        "spent after a refusal"
    );
    let mut control = opened.control().unwrap();
    assert!(control.open(second).is_err(), "out of order");
    let mut status = session.status(&NONCE).unwrap();
    assert!(status.open(first).is_err(), "the other direction");

    let mut seal_status = opened.status(&NONCE).unwrap();
    let failed = StatusMessage::Failed(JobError::of(JobCode::TimeLimit));
    let bytes = seal_status.seal(&failed).unwrap();
    let mut status = session.status(&NONCE).unwrap();
    assert_eq!(status.open(bytes).unwrap(), failed);
}
