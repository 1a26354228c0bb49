//! Golden files: the exact bytes of every message, in `protocol/golden/*.hex`. They change only
//! with a new version of the protocol. `DUCKBLIND_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use crate::body::{self, FileKey, QueryInput, QuerySection, SecretBytes, SecretText, Section};
use crate::cbor;
use crate::control::ControlMessage;
use crate::handshake::*;
use crate::ids::*;
use crate::job_code::{JobCode, JobError};
use crate::key_statement::{Challenge, KeyStatement, Suite, Tee, combined_nonce, report_data};
use crate::order::*;
use crate::receipt::*;
use crate::result_stream::{Final, FinalStatus};
use crate::sealed_job::{ENC_LEN, SealedJob, SealedSection};
use crate::status::StatusMessage;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[0x42; 32])
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

pub(crate) fn key_statement() -> KeyStatement {
    KeyStatement {
        v: 1,
        tee: Tee::SevSnp,
        suite: Suite::XWingHkdfSha256Aes256Gcm,
        kem_key: vec![0x11; 1216],
        instance_key: PublicKey::of(&key()),
        instance: InstanceId::from_bytes([0x22; 32]),
        epoch: 3,
        config: digest(0x33),
        release: digest(0x44),
        prev: Some(digest(0x55)),
    }
}

pub(crate) fn order() -> Order {
    Order {
        v: 1,
        job: JobId::from_bytes([1; 16]),
        ticket: Ticket::from_bytes([2; 16]),
        class: Class::L2,
        limits: Limits {
            wall_ms: 60_000,
            memory_bytes: 1 << 30,
            result_bytes: 1 << 20,
            threads: 2,
        },
        expiry_ms: 30_000,
        endpoints: vec![],
        inputs: vec![OrderInput {
            name: "orders".into(),
            provider: Provider::LocalFake,
            location: "orders".into(),
            manifest: digest(3),
            snapshot: 1,
            files: vec![OrderFile {
                path: "part-0.parquet".into(),
                size: 4096,
            }],
        }],
        sections: vec![SectionDigest {
            name: Section::Query,
            digest: digest(4),
        }],
        requester: PublicKey::of(&key()),
    }
}

pub(crate) fn query() -> QuerySection {
    QuerySection {
        v: body::VERSION,
        sql: SecretText::new("SELECT 1".into()),
        inputs: vec![QueryInput {
            name: "orders".into(),
            manifest: b"{}".to_vec(),
            owner: PublicKey::of(&key()),
            keys: vec![
                FileKey {
                    file: FileId::from_bytes([5; 16]),
                    key: SecretBytes::new(vec![6; 32]),
                    column: None,
                },
                FileKey {
                    file: FileId::from_bytes([5; 16]),
                    key: SecretBytes::new(vec![7; 16]),
                    column: Some("customer.name".into()),
                },
            ],
            accept_unauthenticated: vec!["note".into()],
        }],
    }
}

fn job_receipt() -> JobReceipt {
    JobReceipt {
        v: 1,
        job: JobId::from_bytes([1; 16]),
        key_statement: digest(1),
        order: digest(2),
        manifests: vec![digest(3)],
        outcome: Outcome::Failed(JobCode::TimeLimit),
        chunks: 7,
        bytes: 1234,
        transcript: digest(4),
        accepted_ms: 5,
        ended_ms: 60_005,
        sim: true,
    }
}

fn sealed_job() -> SealedJob {
    SealedJob {
        v: 1,
        key_statement: digest(9),
        enc: vec![7; ENC_LEN],
        order: vec![8; 40],
        sections: vec![SealedSection {
            name: Section::Query,
            ciphertext: vec![9; 40],
        }],
    }
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let nonce = Nonce::from_bytes([0x66; 32]);
    let own = Nonce::from_bytes([0x77; 32]);
    let challenge = Challenge::new(combined_nonce(&nonce, Some(&own)), digest(0x88));
    let job = JobId::from_bytes([1; 16]);
    let error = JobError::new(JobCode::SqlSyntax, "syntax error at or near \"SELEC\"")
        .expected_got("a statement", "SELEC")
        .at(Some(4));
    let usage = UsageRecord {
        v: 1,
        job,
        bytes: 99,
        cpu_ms: 12,
        outcome: OutcomeClass::Limit,
    };
    let end = |status| Final {
        chunks: 2,
        bytes: 300,
        transcript: digest(5),
        status,
    };
    vec![
        ("key-statement", key_statement().encode()),
        ("challenge", challenge.encode()),
        (
            "report-data",
            report_data(&key_statement().encode(), &challenge.encode()).to_vec(),
        ),
        ("hello", Hello::new().encode()),
        (
            "challenge-request",
            ChallengeRequest {
                v: 1,
                verifier_nonce: nonce,
                requester_nonce: Some(own),
                audience: digest(0x88),
            }
            .encode(),
        ),
        (
            "ticket-reply",
            TicketReply::sign(&key(), Ticket::from_bytes([2; 16]), digest(1), 1000).encode(),
        ),
        (
            "refused",
            Refused::sign(&key(), Some(digest(1)), JobCode::Busy, Some(250)).encode(),
        ),
        (
            "accepted",
            Accepted::sign(
                &key(),
                job,
                digest(1),
                digest(2),
                ResponseNonce::from_bytes([3; 32]),
            )
            .encode(),
        ),
        ("epoch-note", EpochNote::new(digest(1), 2, 3000).encode()),
        (
            "host-says",
            HostSays::new(HostCode::EnclaveDown, Some(1000)).encode(),
        ),
        ("order", cbor::encode(&order())),
        ("query-section", query().encode().to_vec()),
        ("sealed-job", sealed_job().encode()),
        (
            "control-keep-alive",
            cbor::encode(&ControlMessage::KeepAlive),
        ),
        ("control-cancel", cbor::encode(&ControlMessage::Cancel)),
        ("status-alive", cbor::encode(&StatusMessage::Alive)),
        (
            "status-failed",
            cbor::encode(&StatusMessage::Failed(error.clone())),
        ),
        (
            "status-receipt",
            cbor::encode(&StatusMessage::Receipt(vec![1, 2, 3].into())),
        ),
        ("final-ok", cbor::encode(&end(FinalStatus::Ok { rows: 11 }))),
        (
            "final-failed",
            cbor::encode(&end(FinalStatus::Failed(error))),
        ),
        (
            "job-receipt",
            SignedReceipt::sign(&key(), &job_receipt()).encode(),
        ),
        ("usage-record", SignedUsage::sign(&key(), &usage).encode()),
    ]
}

#[test]
fn every_message_has_its_golden_bytes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut named = std::collections::BTreeSet::new();
    for (name, bytes) in messages() {
        let path = dir.join(format!("{name}.hex"));
        let line = format!("{}\n", hex::encode(&bytes));
        if std::env::var_os("DUCKBLIND_BLESS").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &line).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(golden, line, "{name} differs from {}", path.display());
        named.insert(format!("{name}.hex"));
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            named.contains(&name) || name == "session.json",
            "{name} belongs to no message"
        );
    }
}

#[test]
fn signed_messages_verify_and_notice_every_change() {
    let public = PublicKey::of(&key());
    let ticket = TicketReply::sign(&key(), Ticket::from_bytes([2; 16]), digest(1), 1000);
    assert!(ticket.verify(&public).is_ok());
    for changed in [
        TicketReply {
            ticket: Ticket::from_bytes([3; 16]),
            ..ticket
        },
        TicketReply {
            key_statement: digest(2),
            ..ticket
        },
        TicketReply {
            epoch_remaining_ms: 1001,
            ..ticket
        },
    ] {
        assert!(changed.verify(&public).is_err());
    }
    let refused = Refused::sign(&key(), Some(digest(1)), JobCode::Busy, Some(250));
    assert!(refused.verify(&public).is_ok());
    for changed in [
        Refused {
            enc: None,
            ..refused
        },
        Refused {
            code: JobCode::Draining,
            ..refused
        },
        Refused {
            retry_after_ms: None,
            ..refused
        },
    ] {
        assert!(changed.verify(&public).is_err());
    }
    let nonce = ResponseNonce::from_bytes([3; 32]);
    let job = JobId::from_bytes([1; 16]);
    let accepted = Accepted::sign(&key(), job, digest(1), digest(2), nonce);
    assert!(accepted.verify(&public).is_ok());
    for changed in [
        Accepted {
            job: JobId::from_bytes([2; 16]),
            ..accepted
        },
        Accepted {
            enc: digest(3),
            ..accepted
        },
        Accepted {
            key_statement: digest(3),
            ..accepted
        },
        Accepted {
            response_nonce: ResponseNonce::from_bytes([4; 32]),
            ..accepted
        },
    ] {
        assert!(changed.verify(&public).is_err());
    }
    let receipt = SignedReceipt::sign(&key(), &job_receipt());
    assert_eq!(receipt.verify(&public).unwrap(), job_receipt());
    for index in 0..receipt.body.len() {
        let mut changed = receipt.clone();
        if let Some(byte) = changed.body.get_mut(index) {
            *byte ^= 1;
        }
        assert!(changed.verify(&public).is_err());
    }
}

#[test]
fn versions_are_refused_by_name() {
    let hello = cbor::encode(&Hello { v: 2 });
    let error = Hello::decode(&hello).unwrap_err().to_string();
    assert_eq!(error, "unknown version 2 of hello");
    // Version 1 knew one key a file and nothing of columns: it is not read as if it were whole.
    let old = QuerySection { v: 1, ..query() };
    let error = QuerySection::decode(&old.encode()).unwrap_err().to_string();
    assert_eq!(error, "unknown version 1 of query section");
}

#[test]
fn keys_of_columns_keep_their_columns() {
    let decoded = QuerySection::decode(&query().encode()).unwrap();
    let input = decoded.inputs.first().unwrap();
    let columns: Vec<_> = input.keys.iter().map(|key| key.column.as_deref()).collect();
    assert_eq!(columns, [None, Some("customer.name")]);
    assert_eq!(input.accept_unauthenticated, ["note"]);
    // A key without its column is another message, not a shorter form of this one.
    let mut without = query();
    for key in &mut without.inputs[0].keys {
        key.column = None;
    }
    assert_ne!(without.encode(), query().encode());
}

/// Decodes with every decoder; what decodes must encode to the same bytes.
fn decode_all(bytes: &[u8]) {
    macro_rules! same {
        ($($decoded:expr => $encode:expr;)*) => {
            $( if let Ok(value) = $decoded { assert_eq!($encode(&value), bytes); } )*
        };
    }
    same! {
        KeyStatement::decode(bytes) => KeyStatement::encode;
        Challenge::decode(bytes) => Challenge::encode;
        Hello::decode(bytes) => Hello::encode;
        ChallengeRequest::decode(bytes) => ChallengeRequest::encode;
        TicketReply::decode(bytes) => TicketReply::encode;
        Refused::decode(bytes) => Refused::encode;
        Accepted::decode(bytes) => Accepted::encode;
        EpochNote::decode(bytes) => EpochNote::encode;
        HostSays::decode(bytes) => HostSays::encode;
        Order::decode(bytes) => cbor::encode;
        QuerySection::decode(bytes) => |q: &QuerySection| q.encode().to_vec();
        SealedJob::decode(bytes) => SealedJob::encode;
        SignedReceipt::decode(bytes) => SignedReceipt::encode;
        SignedUsage::decode(bytes) => SignedUsage::encode;
        cbor::decode::<StatusMessage>(bytes, 1 << 20) => cbor::encode;
        cbor::decode::<Final>(bytes, 1 << 20) => cbor::encode;
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        decode_all(&bytes);
    }

    #[test]
    fn mutated_messages_decode_canonically_or_not_at_all(
        index in 0_usize..22, at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let (_, mut bytes) = messages().swap_remove(index);
        let at = at.index(bytes.len());
        if let Some(b) = bytes.get_mut(at) {
            *b = byte;
        }
        decode_all(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        decode_all(&bytes);
    }

    #[test]
    fn orders_round_trip(
        name in ".{0,40}", location in ".{0,40}", size: u64, snapshot: u64, files in 0_usize..20,
        wall_ms: u32, expiry_ms in 0..=MAX_EXPIRY_MS,
    ) {
        let mut order = order();
        order.expiry_ms = expiry_ms;
        order.limits.wall_ms = wall_ms;
        order.inputs[0].name = name;
        order.inputs[0].snapshot = snapshot;
        order.inputs[0].location = location;
        order.inputs[0].files = (0..files)
            .map(|n| OrderFile { path: n.to_string(), size })
            .collect();
        let bytes = cbor::encode(&order);
        prop_assert_eq!(Order::decode(&bytes).unwrap(), order);
    }
}
