//! SIGTERM and SIGINT.

use std::time::Duration;

use duckblind_protocol::frames::{Hello, Kind};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::Outcome;
use rustix::process::Signal;

use crate::client::{Ask, Link, attest, submit};
use crate::process::Enclave;

#[test]
fn running_jobs_finish_and_new_ones_are_refused() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut enclave = Enclave::start("");
        let known = attest(&enclave);
        let slow = "SELECT count(*) FROM range(30000) a(i), range(30000) b(i) WHERE a.i + b.i = 7";
        let running = submit(&enclave, &known, &Ask::new(slow));
        enclave.signal(signal);
        enclave.wait_until("draining", || enclave.log().contains("draining"));
        let mut link = Link::open(&enclave);
        link.send(Kind::Hello, &Hello::new().encode());
        assert_eq!(link.refused().code, JobCode::Draining);
        assert_eq!(running.finish(&known).receipt.outcome, Outcome::Ok);
        assert_eq!(enclave.wait(Duration::from_secs(5)), 0);
        assert!(!enclave.place.path("enclave.sock").exists());
    }
}

#[test]
fn what_does_not_finish_in_time_is_cancelled_with_a_receipt() {
    let mut enclave = Enclave::start("timeouts.drain_ms = 300");
    let known = attest(&enclave);
    let long = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)";
    let running = submit(&enclave, &known, &Ask::new(long));
    enclave.signal(Signal::TERM);
    let ended = running.finish(&known);
    assert_eq!(ended.failure().code, JobCode::DrainTimeout);
    assert_eq!(
        ended.receipt.outcome,
        Outcome::Failed(JobCode::DrainTimeout)
    );
    assert_eq!(enclave.wait(Duration::from_secs(5)), 0);
}

#[test]
fn an_idle_one_ends_at_once_and_leaves_nothing() {
    let mut enclave = Enclave::start("");
    enclave.wait_for_standbys(2);
    let mut watch = Link::open(&enclave);
    watch.send(Kind::Watch, &[]);
    watch.expect(Kind::Epoch);
    enclave.signal(Signal::TERM);
    assert_eq!(enclave.wait(Duration::from_secs(5)), 0);
    assert!(watch.receive().is_none());
    assert!(enclave.query_processes().is_empty());
    assert!(!enclave.place.path("enclave.sock").exists());
}
