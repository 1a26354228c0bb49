//! The end of an epoch.

use std::time::Duration;

use duckblind_protocol::frames::{EpochNote, Kind};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::Outcome;

use crate::client::{Ask, Link, attest, hello, run, submit};
use crate::process::Enclave;

#[test]
fn without_overlap_and_told() {
    let enclave = Enclave::start("timeouts.epoch_ms = 1500");
    let mut watch = Link::open(&enclave);
    watch.send(Kind::Watch, &[]);
    let mut note = || EpochNote::decode(&watch.expect(Kind::Epoch)).unwrap();
    let first_note = note();
    let first = attest(&enclave);
    assert!(first_note.epoch <= first.statement.epoch);

    let mut link = Link::open(&enclave);
    let ticket = hello(&mut link, &first);
    // Begun in one epoch, ended in another.
    let slow = "SELECT count(*) FROM range(30000) a(i), range(30000) b(i) WHERE a.i + b.i = 7";
    let running = submit(&enclave, &first, &Ask::new(slow));
    let next = loop {
        let note = note();
        if note.epoch > first.statement.epoch {
            break note;
        }
    };
    assert!(next.remaining_ms <= 1500);
    let (job, _) = Ask::new("SELECT 1").seal(&first, ticket);
    link.send(Kind::Job, &job);
    let refused = link.refused();
    assert_eq!(refused.code, JobCode::StaleKey);
    refused.verify(&first.statement.instance_key).unwrap();
    assert_eq!(running.finish(&first).receipt.outcome, Outcome::Ok);

    let second = attest(&enclave);
    assert!(second.statement.epoch > first.statement.epoch);
    assert!(second.statement.prev.is_some());
    assert_eq!(second.statement.instance_key, first.statement.instance_key);
    // The ticket went with its epoch.
    let mut link = Link::open(&enclave);
    let (job, _) = Ask::new("SELECT 1").seal(&second, ticket);
    link.send(Kind::Job, &job);
    let code = link.refused().code;
    assert!(matches!(code, JobCode::TicketUnknown | JobCode::StaleKey));
    std::thread::sleep(Duration::from_millis(10));
    let now = attest(&enclave);
    assert_eq!(
        run(&enclave, &now, &Ask::new("SELECT 1")).receipt.outcome,
        Outcome::Ok
    );
}
