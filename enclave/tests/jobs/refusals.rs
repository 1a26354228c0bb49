//! Jobs that do not get as far as `accepted`: each refusal coded and signed.

use std::time::Duration;

use duckblind_protocol::frames::{Hello, Kind, Refused};
use duckblind_protocol::ids::{Digest, PublicKey, Ticket};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::sealed_job::SealedJob;
use ed25519_dalek::SigningKey;

use crate::client::{Ask, Known, Link, accepted, attest, hello, submit};
use crate::process::Enclave;

fn refusal(enclave: &Enclave, known: &Known, job: &[u8]) -> Refused {
    let mut link = Link::open(enclave);
    link.send(Kind::Job, job);
    let refused = link.refused();
    refused.verify(&known.statement.instance_key).unwrap();
    refused
}

/// A ticket lives as long as the connection that it came over, unless that sends a job.
fn ticket(enclave: &Enclave, known: &Known) -> (Ticket, Link) {
    let mut link = Link::open(enclave);
    (hello(&mut link, known), link)
}

#[test]
fn replayed_ticketless_foreign_and_altered() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let ask = Ask::new("SELECT 1");

    let (issued, _open) = ticket(&enclave, &known);
    let (job, session) = ask.seal(&known, issued);
    let mut link = Link::open(&enclave);
    link.send(Kind::Job, &job);
    let enc = *session.enc_digest();
    accepted(link, &known, session).finish(&known);
    let replayed = refusal(&enclave, &known, &job);
    assert_eq!(replayed.code, JobCode::Replayed);
    assert_eq!(replayed.enc, Some(enc));

    let (job, _) = ask.seal(&known, Ticket::random().unwrap());
    assert_eq!(refusal(&enclave, &known, &job).code, JobCode::TicketUnknown);

    // A ticket serves one job, not two.
    let (one, _open) = ticket(&enclave, &known);
    let (first, session) = ask.seal(&known, one);
    let mut link = Link::open(&enclave);
    link.send(Kind::Job, &first);
    accepted(link, &known, session).finish(&known);
    let (second, _) = ask.seal(&known, one);
    assert_eq!(
        refusal(&enclave, &known, &second).code,
        JobCode::TicketUnknown
    );

    // Sealed to another key under this key's name, and changed in every part.
    let mut foreign = Known {
        statement: known.statement.clone(),
        digest: known.digest,
        evidence: known.evidence.clone(),
    };
    let other = Enclave::start("");
    foreign.statement.kem_key = attest(&other).statement.kem_key;
    let (issued, _open) = ticket(&enclave, &known);
    let (job, _) = ask.seal(&foreign, issued);
    assert_eq!(refusal(&enclave, &known, &job).code, JobCode::OrderRefused);

    let (issued, _open) = ticket(&enclave, &known);
    let (job, session) = ask.seal(&known, issued);
    let parts: [fn(&mut SealedJob); 3] = [
        |job| job.enc[7] ^= 1,
        |job| job.order[7] ^= 1,
        |job| job.sections[0].ciphertext[7] ^= 1,
    ];
    for change in parts {
        let mut changed = SealedJob::decode(&job).unwrap();
        change(&mut changed);
        assert_eq!(
            refusal(&enclave, &known, &changed.encode()).code,
            JobCode::OrderRefused
        );
    }
    // None of these used anything up.
    let mut link = Link::open(&enclave);
    link.send(Kind::Job, &job);
    accepted(link, &known, session).finish(&known);
}

#[test]
fn too_late_too_much_or_not_allowed() {
    let listed = SigningKey::from_bytes(&[9; 32]);
    let key = PublicKey::of(&listed);
    let enclave = Enclave::start(&format!(
        "requesters = [\"{key}\"]\ntimeouts.ticket_ms = 400\nlimits.threads = 2\nlimits.wall_ms = 60000"
    ));
    let known = attest(&enclave);
    let code = |ask: &Ask, wait: u64| {
        let (ticket, _open) = ticket(&enclave, &known);
        std::thread::sleep(Duration::from_millis(wait));
        let (job, _) = ask.seal(&known, ticket);
        refusal(&enclave, &known, &job).code
    };
    let mut ask = Ask::new("SELECT 1");
    assert_eq!(code(&ask, 0), JobCode::RequesterNotAllowed);
    ask.signer = listed;
    assert_eq!(code(&ask, 500), JobCode::TicketExpired);
    ask.expiry_ms = 50;
    assert_eq!(code(&ask, 150), JobCode::OrderExpired);
    ask.expiry_ms = 60_000;
    ask.limits.threads = 3;
    assert_eq!(code(&ask, 0), JobCode::LimitTooHigh);
    ask.limits.threads = 2;
    ask.limits.wall_ms = 60_001;
    assert_eq!(code(&ask, 0), JobCode::LimitTooHigh);
    ask.limits.wall_ms = 60_000;
    submit(&enclave, &known, &ask).finish(&known);
}

#[test]
fn busy_with_a_time_to_come_back() {
    let enclave = Enclave::start("limits.max_jobs = 1");
    let known = attest(&enclave);
    let long = Ask::new("SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)");
    let running = submit(&enclave, &known, &long);
    let (issued, mut link) = ticket(&enclave, &known);
    let (job, session) = Ask::new("SELECT 1").seal(&known, issued);
    link.send(Kind::Job, &job);
    let busy = link.refused();
    assert_eq!(busy.code, JobCode::Busy);
    assert!(busy.retry_after_ms.is_some_and(|ms| ms > 0));
    drop(running);
    // The same job, sealed once, runs when there is room: being busy used nothing up.
    let mut session = Some(session);
    enclave.wait_until("room", || {
        let mut link = Link::open(&enclave);
        link.send(Kind::Job, &job);
        let (kind, payload) = link.receive().unwrap();
        if kind == Kind::Accepted {
            return true;
        }
        assert_eq!(Refused::decode(&payload).unwrap().code, JobCode::Busy);
        false
    });
    assert!(session.take().is_some());
}

#[test]
fn a_ticket_ends_with_the_connection_that_it_came_over() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let (issued, link) = ticket(&enclave, &known);
    drop(link);
    let (job, _) = Ask::new("SELECT 1").seal(&known, issued);
    // Not at once: until it is noticed, the job would be taken.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(refusal(&enclave, &known, &job).code, JobCode::TicketUnknown);
    // More of them than the table has places.
    for _ in 0..9000 {
        drop(ticket(&enclave, &known));
    }
    submit(&enclave, &known, &Ask::new("SELECT 1")).finish(&known);
}

#[test]
fn what_is_no_message_here_is_refused_and_nothing_breaks() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let cases: [(&[u8], JobCode); 6] = [
        (
            &[Kind::Job as u8, 0xff, 0xff, 0xff, 0xff],
            JobCode::Oversized,
        ),
        (&[77, 0, 0, 0, 0], JobCode::Malformed),
        (&[Kind::Control as u8, 0, 0, 0, 1, 1], JobCode::Malformed),
        (&[Kind::Chunk as u8, 0, 0, 0, 1, 1], JobCode::Malformed),
        (&[Kind::Job as u8, 0, 0, 0, 1, 1], JobCode::Malformed),
        (&[Kind::Challenge as u8, 0, 0, 0, 1, 1], JobCode::Malformed),
    ];
    for (bytes, code) in cases {
        let mut link = Link::open(&enclave);
        std::io::Write::write_all(&mut link.0, bytes).unwrap();
        let refused = Refused::decode(&link.expect(Kind::Refused)).unwrap();
        refused.verify(&known.statement.instance_key).unwrap();
        assert_eq!((refused.code, refused.enc), (code, None::<Digest>));
    }
    // After a ticket only a job may come.
    let mut link = Link::open(&enclave);
    hello(&mut link, &known);
    link.send(Kind::Hello, &Hello::new().encode());
    assert_eq!(link.refused().code, JobCode::Malformed);
    // A frame cut off, and a connection that says nothing.
    let mut link = Link::open(&enclave);
    std::io::Write::write_all(&mut link.0, &[Kind::Hello as u8, 0]).unwrap();
    drop(link);
    let silent = Link::open(&enclave);
    submit(&enclave, &known, &Ask::new("SELECT 1")).finish(&known);
    drop(silent);
}
