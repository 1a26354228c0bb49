//! A requester without a host, for tests.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use duckblind_attestation::evidence::Evidence;
use duckblind_protocol::body::{self, QueryInput, QuerySection, SecretText};
use duckblind_protocol::control::{ControlMessage, ControlSealer};
use duckblind_protocol::frames::{
    Accepted, ChallengeRequest, HEADER_LEN, Header, Hello, Kind, Refused, TicketReply, frame,
};
use duckblind_protocol::hazmat::{self, RequesterSession};
use duckblind_protocol::ids::{Digest, JobId, Nonce, Ticket};
use duckblind_protocol::job_code::JobError;
use duckblind_protocol::key_statement::KeyStatement;
use duckblind_protocol::order::{Class, Limits, OrderDraft, OrderInput};
use duckblind_protocol::receipt::{JobReceipt, SignedReceipt, SignedUsage, UsageRecord};
use duckblind_protocol::result_stream::{Final, FinalStatus, Opened, ResultOpener};
use duckblind_protocol::status::{StatusMessage, StatusOpener};
use ed25519_dalek::SigningKey;

use crate::process::Enclave;

pub(crate) type Frame = (Kind, Vec<u8>);

/// One connection.
pub(crate) struct Link(pub(crate) UnixStream);

impl Link {
    pub(crate) fn open(enclave: &Enclave) -> Self {
        Self::to(&enclave.place.path("enclave.sock"))
    }

    pub(crate) fn to(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        let patience = Some(Duration::from_mins(1));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, kind: Kind, payload: &[u8]) {
        self.0.write_all(&frame(kind, payload)).unwrap();
    }

    /// The next frame; `None` at the end.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        let mut header = [0; HEADER_LEN];
        // `read_exact` goes on after an interruption, which `read` with a timeout does not.
        match self.0.read_exact(&mut header[..1]) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        self.0.read_exact(&mut header[1..]).unwrap();
        let header = Header::parse(header).unwrap();
        let mut payload = vec![0; header.len];
        self.0.read_exact(&mut payload).unwrap();
        Some((header.kind, payload))
    }

    pub(crate) fn expect(&mut self, kind: Kind) -> Vec<u8> {
        let (got, payload) = self.receive().expect("a frame");
        assert_eq!(got, kind, "{:?}", Refused::decode(&payload));
        payload
    }

    pub(crate) fn refused(&mut self) -> Refused {
        let refused = Refused::decode(&self.expect(Kind::Refused)).unwrap();
        assert!(self.receive().is_none());
        refused
    }
}

/// What a requester knows of an enclave.
pub(crate) struct Known {
    pub(crate) statement: KeyStatement,
    pub(crate) digest: Digest,
    pub(crate) evidence: Evidence,
}

pub(crate) fn attest(enclave: &Enclave) -> Known {
    let mut link = Link::open(enclave);
    let request = ChallengeRequest {
        v: 1,
        verifier_nonce: Nonce::random().unwrap(),
        requester_nonce: Some(Nonce::random().unwrap()),
        audience: Digest::of(b"audience"),
    };
    link.send(Kind::Challenge, &request.encode());
    let evidence = Evidence::decode(&link.expect(Kind::Evidence)).unwrap();
    let statement = KeyStatement::decode(&evidence.key_statement).unwrap();
    Known {
        digest: statement.digest(),
        statement,
        evidence,
    }
}

pub(crate) fn hello(link: &mut Link, known: &Known) -> Ticket {
    link.send(Kind::Hello, &Hello::new().encode());
    let reply = TicketReply::decode(&link.expect(Kind::Ticket)).unwrap();
    reply.verify(&known.statement.instance_key).unwrap();
    reply.ticket
}

/// What a job asks for.
pub(crate) struct Ask {
    pub(crate) sql: String,
    pub(crate) limits: Limits,
    pub(crate) expiry_ms: u32,
    pub(crate) inputs: Vec<(OrderInput, QueryInput)>,
    pub(crate) signer: SigningKey,
}

impl Ask {
    pub(crate) fn new(sql: &str) -> Self {
        Self {
            sql: sql.into(),
            limits: Limits {
                wall_ms: 60_000,
                memory_bytes: 512 << 20,
                result_bytes: 2 << 30,
                threads: 2,
            },
            expiry_ms: 60_000,
            inputs: Vec::new(),
            signer: SigningKey::from_bytes(&[5; 32]),
        }
    }

    pub(crate) fn of(sql: &str, inputs: &[(OrderInput, QueryInput)]) -> Self {
        Self {
            inputs: inputs.to_vec(),
            ..Self::new(sql)
        }
    }

    pub(crate) fn seal(&self, known: &Known, ticket: Ticket) -> (Vec<u8>, RequesterSession) {
        let draft = OrderDraft {
            job: JobId::random().unwrap(),
            ticket,
            class: Class::L2,
            limits: self.limits,
            expiry_ms: self.expiry_ms,
            endpoints: vec![],
            inputs: self.inputs.iter().map(|(order, _)| order.clone()).collect(),
        };
        let section = QuerySection {
            v: body::VERSION,
            sql: SecretText::new(self.sql.clone()),
            inputs: self.inputs.iter().map(|(_, query)| query.clone()).collect(),
        };
        let (job, session) = hazmat::seal(
            &known.statement.kem_key,
            &known.digest,
            draft,
            &section,
            &self.signer,
        )
        .unwrap();
        (job.encode(), session)
    }
}

/// An accepted job.
pub(crate) struct Running {
    pub(crate) link: Link,
    pub(crate) session: RequesterSession,
    control: ControlSealer,
    result: ResultOpener,
    status: StatusOpener,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) data: Vec<u8>,
    pub(crate) end: Option<Final>,
    pub(crate) failed: Option<JobError>,
    pub(crate) receipt: JobReceipt,
    pub(crate) usage: Option<UsageRecord>,
    pub(crate) alive: usize,
}

impl Ended {
    /// The failure, whichever way it was told.
    pub(crate) fn failure(&self) -> JobError {
        match (&self.failed, &self.end) {
            (Some(error), None)
            | (
                None,
                Some(Final {
                    status: FinalStatus::Failed(error),
                    ..
                }),
            ) => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn batches(&self) -> Vec<arrow::record_batch::RecordBatch> {
        let reader = arrow::ipc::reader::StreamReader::try_new(&self.data[..], None).unwrap();
        reader.map(Result::unwrap).collect()
    }
}

/// Submits a job and expects it to be accepted.
pub(crate) fn submit(enclave: &Enclave, known: &Known, ask: &Ask) -> Running {
    let mut link = Link::open(enclave);
    let ticket = hello(&mut link, known);
    let (job, session) = ask.seal(known, ticket);
    link.send(Kind::Job, &job);
    accepted(link, known, session)
}

pub(crate) fn accepted(mut link: Link, known: &Known, session: RequesterSession) -> Running {
    let accepted = Accepted::decode(&link.expect(Kind::Accepted)).unwrap();
    accepted.verify(&known.statement.instance_key).unwrap();
    assert_eq!(accepted.job, *session.job());
    assert_eq!(accepted.enc, *session.enc_digest());
    Running {
        link,
        control: session.control().unwrap(),
        result: session.result(&accepted.response_nonce).unwrap(),
        status: session.status(&accepted.response_nonce).unwrap(),
        session,
    }
}

impl Running {
    pub(crate) fn say(&mut self, message: ControlMessage) {
        let sealed = self.control.seal(message).unwrap();
        self.link.send(Kind::Control, &sealed);
    }

    /// Reads to the end and checks that receipt and stream tell the same.
    pub(crate) fn finish(mut self, known: &Known) -> Ended {
        let mut data = Vec::new();
        let (mut end, mut failed, mut usage) = (None, None, None);
        let mut receipt: Option<JobReceipt> = None;
        let mut alive = 0;
        while let Some((kind, payload)) = self.link.receive() {
            match kind {
                Kind::Chunk => match self.result.open(payload).unwrap() {
                    Opened::Data(bytes) => data.extend(bytes),
                    Opened::Final(last) => end = Some(last),
                },
                Kind::Status => match self.status.open(payload).unwrap() {
                    StatusMessage::Alive => alive += 1,
                    StatusMessage::Failed(error) => failed = Some(error),
                    StatusMessage::Receipt(bytes) => {
                        let signed = SignedReceipt::decode(&bytes).unwrap();
                        receipt = Some(signed.verify(&known.statement.instance_key).unwrap());
                    }
                },
                Kind::Usage => {
                    let signed = SignedUsage::decode(&payload).unwrap();
                    usage = Some(signed.verify(&known.statement.instance_key).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        let receipt = receipt.expect("a receipt");
        assert_eq!(receipt.job, *self.session.job());
        assert_eq!(receipt.order, *self.session.order_digest());
        assert_eq!(receipt.key_statement, known.digest);
        assert!(receipt.sim);
        assert!(receipt.accepted_ms <= receipt.ended_ms);
        if end.is_some() {
            assert_eq!((receipt.chunks, receipt.transcript), self.result.relayed());
        }
        Ended {
            data,
            end,
            failed,
            receipt,
            usage,
            alive,
        }
    }
}

/// One job from hello to receipt.
pub(crate) fn run(enclave: &Enclave, known: &Known, ask: &Ask) -> Ended {
    submit(enclave, known, ask).finish(known)
}
