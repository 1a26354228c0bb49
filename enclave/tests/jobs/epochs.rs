//! Epochs: what their ends and overlaps do to jobs, and what they do not.

use std::time::{Duration, Instant};

use duckblind_protocol::frames::{EpochNote, Hello, Kind, Refused, TicketReply};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::Outcome;

use crate::client::{Ask, Known, Link, accepted, attest, hello, run, submit};
use crate::process::Enclave;

/// A watch connection.
struct Notes(Link);

impl Notes {
    fn of(enclave: &Enclave) -> Self {
        let mut link = Link::open(enclave);
        link.send(Kind::Watch, &[]);
        Self(link)
    }

    fn next(&mut self) -> EpochNote {
        EpochNote::decode(&self.0.expect(Kind::Epoch)).unwrap()
    }

    /// Returns when an epoch begins, not in the midst of one.
    fn begin(&mut self, number: u64) -> EpochNote {
        loop {
            let note = self.next();
            if note.epoch >= number {
                assert_eq!(note.epoch, number, "too slow");
                return note;
            }
        }
    }
}

/// The signed no to a job frame on a connection of its own.
fn refusal(enclave: &Enclave, known: &Known, job: &[u8]) -> Refused {
    let mut link = Link::open(enclave);
    link.send(Kind::Job, job);
    let refused = link.refused();
    refused.verify(&known.statement.instance_key).unwrap();
    refused
}

#[test]
fn overlap_by_one() {
    let enclave = Enclave::start("timeouts.epoch_ms = 3000");
    let mut notes = Notes::of(&enclave);
    notes.begin(1);
    let first = attest(&enclave);
    assert_eq!(first.statement.epoch, 1);
    assert!(first.statement.prev.is_some());

    // In its own epoch: one job is run, one accepted, one only has its ticket.
    let select = Ask::new("SELECT 1");
    let mut link = Link::open(&enclave);
    let ticket = hello(&mut link, &first);
    let (captured, session) = select.seal(&first, ticket);
    link.send(Kind::Job, &captured);
    let enc = *session.enc_digest();
    accepted(link, &first, session).finish(&first);
    // More than the buffers on its way hold: it runs until it is read.
    let large = "SELECT i FROM range(4000000) t(i)";
    let running = submit(&enclave, &first, &Ask::new(large));
    let mut link = Link::open(&enclave);
    let ticket = hello(&mut link, &first);

    // In the next one, all three have what they should.
    let note = notes.begin(2);
    assert!(note.remaining_ms <= 3000);
    let replayed = refusal(&enclave, &first, &captured);
    assert_eq!(replayed.code, JobCode::Replayed);
    assert_eq!(replayed.enc, Some(enc));
    let (job, session) = select.seal(&first, ticket);
    link.send(Kind::Job, &job);
    let ended = accepted(link, &first, session).finish(&first);
    assert_eq!(ended.receipt.outcome, Outcome::Ok);
    assert_eq!(
        refusal(&enclave, &first, &job).code,
        JobCode::Replayed,
        "opened in the overlap"
    );
    // Evidence is for the new key alone; instance and chain are the same.
    let second = attest(&enclave);
    assert_eq!(second.digest, note.key_statement);
    assert_eq!(second.statement.prev, Some(first.digest));
    assert_eq!(second.statement.instance, first.statement.instance);
    assert_eq!(second.statement.instance_key, first.statement.instance_key);
    assert_ne!(second.statement.kem_key, first.statement.kem_key);
    let mut held = Link::open(&enclave);
    let late = hello(&mut held, &first);

    // In the one after it, its key is gone.
    notes.begin(3);
    let (job, _) = select.seal(&first, late);
    held.send(Kind::Job, &job);
    let stale = held.refused();
    stale.verify(&first.statement.instance_key).unwrap();
    assert_eq!(stale.code, JobCode::StaleKey);
    assert_eq!(
        refusal(&enclave, &first, &captured).code,
        JobCode::StaleKey,
        "a replay opens no more than a new job"
    );
    // One appraisal, and it runs.
    let third = attest(&enclave);
    let ended = run(&enclave, &third, &select);
    assert_eq!(ended.receipt.outcome, Outcome::Ok);
    // What was accepted under a key that is gone, was.
    assert_eq!(running.finish(&first).receipt.outcome, Outcome::Ok);
}

/// What one client of [`rotate_under_load`] has seen.
#[derive(Default)]
struct Seen {
    jobs: u32,
    /// Sealed to the key before the current one.
    crossing: u32,
    replays_told: u32,
}

/// Jobs one after the other, each replayed at once and again a good epoch later, until `end`.
fn client(enclave: &Enclave, epoch: Duration, end: Instant) -> Seen {
    let ask = Ask::new("SELECT 42");
    let mut seen = Seen::default();
    let mut captured: Vec<(Instant, Vec<u8>)> = Vec::new();
    while Instant::now() < end {
        // As long as the shortest attestation result would let a client, less some room for a
        // machine with other things to do.
        let attested = Instant::now();
        let known = attest(enclave);
        while attested.elapsed() < epoch / 2 {
            let mut link = Link::open(enclave);
            link.send(Kind::Hello, &Hello::new().encode());
            let reply = TicketReply::decode(&link.expect(Kind::Ticket)).unwrap();
            reply.verify(&known.statement.instance_key).unwrap();
            let (job, session) = ask.seal(&known, reply.ticket);
            link.send(Kind::Job, &job);
            let ended = accepted(link, &known, session).finish(&known);
            assert_eq!(ended.receipt.outcome, Outcome::Ok);
            seen.jobs += 1;
            seen.crossing += u32::from(reply.key_statement != known.digest);

            assert_eq!(refusal(enclave, &known, &job).code, JobCode::Replayed);
            captured.push((Instant::now(), job));
            let old = captured.iter().position(|(at, _)| at.elapsed() < epoch);
            for (_, job) in captured.drain(..old.unwrap_or(0)) {
                // Whether its key is still there or not: it does not run.
                match refusal(enclave, &known, &job).code {
                    JobCode::Replayed => seen.replays_told += 1,
                    JobCode::StaleKey => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    seen
}

#[test]
fn rotate_under_load() {
    const CLIENTS: usize = 3;
    let epoch = Duration::from_secs(1);
    let enclave = Enclave::start("timeouts.epoch_ms = 1000\nlimits.max_jobs = 8");
    let mut notes = Notes::of(&enclave);
    let first = notes.next().epoch;
    let end = Instant::now() + 7 * epoch;
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| client(&enclave, epoch, end)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let rotations = Notes::of(&enclave).next().epoch - first;
    assert!(rotations >= 5, "{rotations} rotations");
    let sum = |of: fn(&Seen) -> u32| seen.iter().map(of).sum::<u32>();
    // Every job ran, or a client has panicked; some of them because keys overlap.
    assert!(sum(|seen| seen.crossing) >= 5, "the overlap was not used");
    assert!(
        sum(|seen| seen.replays_told) >= 5,
        "no replay after a rotation"
    );
    let jobs = sum(|seen| seen.jobs);
    eprintln!("{jobs} jobs in {rotations} rotations");
}
