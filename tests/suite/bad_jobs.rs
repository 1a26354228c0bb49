//! Jobs that the enclave must refuse, sent past the host straight to its socket: each refusal is coded and signed.

use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use duckblind::client::Attested;
use duckblind::trust::{SensitiveJob, seal_sensitive};
use duckblind_protocol::body::{self, QuerySection, SecretText};
use duckblind_protocol::frames::{Hello, Kind, Refused, TicketReply};
use duckblind_protocol::hazmat;
use duckblind_protocol::ids::{JobId, Ticket};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::order::{Class, Limits, OrderDraft};
use duckblind_protocol::sealed_job::SealedJob;
use duckblind_tests::client;
use duckblind_tests::frame_io::Frame;
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::Stack;
use ed25519_dalek::SigningKey;

/// A connection to the enclave as its host has one.
struct Link(UnixStream);

impl Link {
    fn open(stack: &Stack) -> Self {
        let stream = UnixStream::connect(stack.enclave_socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(stream)
    }

    fn send(&mut self, kind: Kind, payload: &[u8]) {
        let frame = Frame {
            kind: kind as u8,
            payload: payload.to_vec(),
        };
        frame.write(&mut self.0).unwrap();
    }

    /// The next frame; none if the enclave has ended the connection.
    fn next(&mut self) -> Option<Frame> {
        Frame::read(&mut self.0).ok().flatten()
    }

    fn ticket(&mut self, attested: &Attested) -> Ticket {
        self.send(Kind::Hello, &Hello::new().encode());
        let frame = self.next().expect("an answer to hello");
        assert_eq!(frame.kind, Kind::Ticket as u8);
        let reply = TicketReply::decode(&frame.payload).unwrap();
        reply.verify(attested.key.instance_key()).unwrap();
        reply.ticket
    }

    /// Sends a job that must be refused and returns the signed reason.
    fn refused(&mut self, attested: &Attested, job: &[u8]) -> JobCode {
        self.send(Kind::Job, job);
        let frame = self.next().expect("a refusal");
        assert_eq!(frame.kind, Kind::Refused as u8, "kind of the answer");
        let refused = Refused::decode(&frame.payload).unwrap();
        refused.verify(attested.key.instance_key()).unwrap();
        refused.code
    }

    fn accepted(&mut self, job: &[u8]) {
        self.send(Kind::Job, job);
        let frame = self.next().expect("an answer");
        let refused = Refused::decode(&frame.payload).map(|refused| refused.code);
        assert_eq!(frame.kind, Kind::Accepted as u8, "refused: {refused:?}");
    }
}

struct Bench {
    stack: Stack,
    attested: std::sync::Arc<Attested>,
    signer: SigningKey,
}

impl Bench {
    fn start(options: Options) -> Self {
        let stack = Stack::start(options);
        let attested = client::runtime().block_on(async {
            client::connect(&stack, false)
                .await
                .unwrap()
                .attested()
                .await
        });
        Self {
            stack,
            attested,
            signer: SigningKey::from_bytes(&[9; 32]),
        }
    }

    fn query() -> QuerySection {
        QuerySection {
            v: body::VERSION,
            sql: SecretText::new("select 1 as a".to_owned()),
            inputs: Vec::new(),
        }
    }

    fn limits(&self) -> Limits {
        let limits = &self.attested.key.config().limits;
        Limits {
            wall_ms: limits.wall_ms,
            memory_bytes: limits.memory_bytes,
            result_bytes: limits.result_bytes,
            threads: limits.threads,
        }
    }

    fn seal(&self, job: JobId, ticket: Ticket, expiry_ms: u32, limits: Limits) -> SealedJob {
        let job = SensitiveJob {
            job,
            ticket,
            limits,
            expiry_ms,
            inputs: &[],
            query: &Self::query(),
            signer: &self.signer,
        };
        seal_sensitive(&job, &self.attested.key).unwrap().0
    }

    fn job(&self, ticket: Ticket) -> SealedJob {
        self.seal(JobId::random().unwrap(), ticket, 60_000, self.limits())
    }

    fn link(&self) -> Link {
        Link::open(&self.stack)
    }
}

#[test]
fn without_a_live_ticket() {
    let _test = running::test("ticketless");
    let mut bench = Bench::start(Options::default().timeout("ticket_ms", 3_000));
    let never = bench.job(Ticket::random().unwrap()).encode();
    assert_eq!(
        bench.link().refused(&bench.attested, &never),
        JobCode::TicketUnknown
    );

    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let late = bench.job(ticket).encode();
    sleep(Duration::from_millis(3_300));
    assert_eq!(link.refused(&bench.attested, &late), JobCode::TicketExpired);

    // A ticket serves one job, whatever connection it is used on.
    let mut opener = bench.link();
    let ticket = opener.ticket(&bench.attested);
    let (first, second) = (bench.job(ticket).encode(), bench.job(ticket).encode());
    bench.link().accepted(&first);
    assert_eq!(
        bench.link().refused(&bench.attested, &second),
        JobCode::TicketUnknown
    );
    bench.stack.must_work();
}

#[test]
fn replayed() {
    let _test = running::test("replayed");
    let mut bench = Bench::start(Options::default());
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let job = bench.job(ticket).encode();
    link.accepted(&job);
    let code = bench.link().refused(&bench.attested, &job);
    assert!(
        matches!(code, JobCode::TicketUnknown | JobCode::Replayed),
        "{code:?}"
    );

    // The same job id under a new ticket and a new encapsulation is still the same job.
    let id = JobId::random().unwrap();
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    link.accepted(&bench.seal(id, ticket, 60_000, bench.limits()).encode());
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let again = bench.seal(id, ticket, 60_000, bench.limits()).encode();
    assert_eq!(link.refused(&bench.attested, &again), JobCode::Replayed);
    bench.stack.must_work();
}

#[test]
fn expired() {
    let _test = running::test("expired");
    let mut bench = Bench::start(Options::default());
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let job = bench
        .seal(JobId::random().unwrap(), ticket, 200, bench.limits())
        .encode();
    sleep(Duration::from_millis(500));
    assert_eq!(link.refused(&bench.attested, &job), JobCode::OrderExpired);
    bench.stack.must_work();
}

#[test]
fn altered_or_foreign() {
    let _test = running::test("altered");
    let mut bench = Bench::start(Options::default());
    let fresh = || {
        let mut link = bench.link();
        let ticket = link.ticket(&bench.attested);
        let job = bench.job(ticket);
        (link, job)
    };
    let refused = |change: &dyn Fn(&mut SealedJob)| {
        let (mut link, mut job) = fresh();
        change(&mut job);
        link.refused(&bench.attested, &job.encode())
    };
    assert_eq!(refused(&|job| job.order[0] ^= 1), JobCode::OrderRefused);
    let last = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&|job| last(&mut job.order)), JobCode::OrderRefused);
    assert_eq!(refused(&|job| last(&mut job.enc)), JobCode::OrderRefused);
    // The order pins the digest of every section: a changed, missing or doubled one is noticed before it runs.
    let code = refused(&|job| last(&mut job.sections[0].ciphertext));
    assert_eq!(code, JobCode::OrderRefused);
    let code = refused(&|job| job.sections.clear());
    assert!(
        matches!(code, JobCode::OrderRefused | JobCode::Malformed),
        "{code:?}"
    );
    let code = refused(&|job| {
        let again = job.sections[0].clone();
        job.sections.push(again);
    });
    assert!(
        matches!(code, JobCode::OrderRefused | JobCode::Malformed),
        "{code:?}"
    );
    let code = refused(&|job| job.key_statement = duckblind_protocol::ids::Digest::of(b"other"));
    assert!(
        matches!(code, JobCode::StaleKey | JobCode::OrderRefused),
        "{code:?}"
    );

    // Sealed to somebody else's key, under this enclave's name.
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let other = KemSecret::generate().unwrap();
    let draft = OrderDraft {
        job: JobId::random().unwrap(),
        ticket,
        class: Class::L2,
        limits: bench.limits(),
        expiry_ms: 60_000,
        endpoints: Vec::new(),
        inputs: Vec::new(),
    };
    let statement = bench.attested.key.key_statement();
    let (job, _) = hazmat::seal(
        other.public_key(),
        &statement,
        draft,
        &Bench::query(),
        &bench.signer,
    )
    .unwrap();
    assert_eq!(
        link.refused(&bench.attested, &job.encode()),
        JobCode::OrderRefused
    );
    bench.stack.must_work();
}

#[test]
fn beyond_the_limits() {
    let _test = running::test("beyond");
    let mut bench = Bench::start(Options::default());
    let allowed = bench.limits();
    for limits in [
        Limits {
            wall_ms: allowed.wall_ms + 1,
            ..allowed
        },
        Limits {
            memory_bytes: allowed.memory_bytes + 1,
            ..allowed
        },
        Limits {
            result_bytes: allowed.result_bytes + 1,
            ..allowed
        },
        Limits {
            threads: allowed.threads + 1,
            ..allowed
        },
    ] {
        let mut link = bench.link();
        let ticket = link.ticket(&bench.attested);
        let job = bench
            .seal(JobId::random().unwrap(), ticket, 60_000, limits)
            .encode();
        assert_eq!(link.refused(&bench.attested, &job), JobCode::LimitTooHigh);
    }
    bench.stack.must_work();
}

#[test]
fn out_of_form() {
    let _test = running::test("form");
    let mut bench = Bench::start(Options::impatient());
    let mut link = bench.link();
    let ticket = link.ticket(&bench.attested);
    let good = bench.job(ticket).encode();
    for spoiled in [
        Vec::new(),
        b"no cbor at all".to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
    ] {
        let mut link = bench.link();
        link.ticket(&bench.attested);
        link.send(Kind::Job, &spoiled);
        if let Some(frame) = link.next() {
            assert_eq!(frame.kind, Kind::Refused as u8);
            Refused::decode(&frame.payload)
                .unwrap()
                .verify(bench.attested.key.instance_key())
                .unwrap();
        }
    }
    // Kinds that nobody sends this way, lengths beyond every cap, bytes that are no frame: the connection ends.
    for bytes in [
        vec![Kind::Chunk as u8, 0, 0, 0, 1, 0],
        vec![99, 0, 0, 0, 0],
        vec![Kind::Hello as u8, 0xff, 0xff, 0xff, 0xff],
        vec![Kind::Control as u8, 0, 0, 0, 4, 1, 2, 3, 4],
        vec![Kind::Watch as u8, 0, 0, 0, 1, 0],
        vec![0xff; 300],
    ] {
        use std::io::Write as _;
        let mut link = bench.link();
        let _ = link.0.write_all(&bytes);
        while let Some(frame) = link.next() {
            assert_eq!(frame.kind, Kind::Refused as u8, "answer to {bytes:?}");
        }
    }
    // Half a frame and then nothing: the enclave does not wait for ever.
    let mut half = bench.link();
    half.send(Kind::Hello, &Hello::new().encode());
    half.next().unwrap();
    std::io::Write::write_all(&mut half.0, &[Kind::Job as u8, 0, 0]).unwrap();
    half.0
        .set_read_timeout(Some(Duration::from_secs(90)))
        .unwrap();
    bench.stack.must_work();
    drop(half);
    sleep(Duration::from_millis(1_300));
    assert_eq!(bench.link().refused(&bench.attested, &good), {
        // Its ticket is a second old by now.
        JobCode::TicketExpired
    });
    bench.stack.must_work();
}
