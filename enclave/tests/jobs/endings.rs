//! Jobs that somebody or something else ends.

use std::time::{Duration, Instant};

use duckblind_protocol::control::ControlMessage;
use duckblind_protocol::frames::Kind;
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::{Outcome, OutcomeClass};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Ask, Ended, attest, run, submit};
use crate::process::Enclave;

const LONG: &str = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)";
const LARGE: &str = "SELECT i, i * 2 AS twice FROM range(1000000000) t(i)";

fn ended_by(ended: &Ended, code: JobCode, class: OutcomeClass) {
    assert_eq!(ended.failure().code, code);
    assert_eq!(ended.receipt.outcome, Outcome::Failed(code));
    assert_eq!(ended.usage.unwrap().outcome, class);
}

#[test]
fn cancelled_by_its_requester() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    for sql in [LONG, LARGE] {
        let started = Instant::now();
        let mut running = submit(&enclave, &known, &Ask::new(sql));
        std::thread::sleep(Duration::from_millis(100));
        running.say(ControlMessage::Cancel);
        let ended = running.finish(&known);
        ended_by(&ended, JobCode::Cancelled, OutcomeClass::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn left_by_its_requester() {
    let enclave = Enclave::start("limits.standbys = 0");
    let known = attest(&enclave);
    let running = submit(&enclave, &known, &Ask::new(LONG));
    enclave.wait_until("running", || enclave.query_processes().len() == 1);
    drop(running);
    enclave.wait_until("killed", || enclave.query_processes().is_empty());
}

#[test]
fn limits_of_time_and_size() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let mut ask = Ask::new(LONG);
    ask.limits.wall_ms = 300;
    let ended = run(&enclave, &known, &ask);
    ended_by(&ended, JobCode::TimeLimit, OutcomeClass::Limit);

    let mut ask = Ask::new(LARGE);
    ask.limits.result_bytes = 3 << 20;
    let ended = run(&enclave, &known, &ask);
    ended_by(&ended, JobCode::ResultLimit, OutcomeClass::Limit);
    assert!(ended.data.len() <= 3 << 20);

    let mut ask = Ask::new("SELECT list(i) FROM range(100000000) t(i)");
    ask.limits.memory_bytes = 64 << 20;
    let ended = run(&enclave, &known, &ask);
    ended_by(&ended, JobCode::OutOfMemory, OutcomeClass::Limit);
}

#[test]
fn no_sign_of_life() {
    let enclave = Enclave::start("timeouts.keepalive_ms = 1000");
    let known = attest(&enclave);
    let started = Instant::now();
    let mut running = submit(&enclave, &known, &Ask::new(LONG));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(400));
        running.say(ControlMessage::KeepAlive);
    }
    let ended = running.finish(&known);
    ended_by(&ended, JobCode::KeepAliveLost, OutcomeClass::Limit);
    assert_eq!(ended.alive, 4);
    let took = started.elapsed();
    assert!(took > Duration::from_millis(2500) && took < Duration::from_secs(6));
}

#[test]
fn too_many_signs_of_life() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let mut running = submit(&enclave, &known, &Ask::new(LONG));
    for _ in 0..65 {
        running.say(ControlMessage::KeepAlive);
    }
    let ended = running.finish(&known);
    ended_by(&ended, JobCode::Malformed, OutcomeClass::Ended);
}

#[test]
fn nobody_takes_the_result() {
    let enclave = Enclave::start("timeouts.progress_ms = 1000\nlimits.standbys = 0");
    let known = attest(&enclave);
    let running = submit(&enclave, &known, &Ask::new(LARGE));
    enclave.wait_until("running", || enclave.query_processes().len() == 1);
    enclave.wait_until("killed", || enclave.query_processes().is_empty());
    enclave.wait_until("logged", || {
        enclave.log().contains(JobCode::StreamStalled.code())
    });
    drop(running);
    // The time counts only while something waits to be written.
    let mut ask =
        Ask::new("SELECT count(*) FROM range(30000) a(i), range(30000) b(i) WHERE a.i + b.i = 7");
    ask.limits.wall_ms = 2500;
    let ended = run(&enclave, &known, &ask);
    if let Some(error) = &ended.failed {
        assert_eq!(error.code, JobCode::TimeLimit);
    }
}

#[test]
fn its_process_is_killed() {
    let enclave = Enclave::start("limits.standbys = 0");
    let known = attest(&enclave);
    for sql in [LONG, LARGE] {
        let running = submit(&enclave, &known, &Ask::new(sql));
        enclave.wait_until("running", || enclave.query_processes().len() == 1);
        std::thread::sleep(Duration::from_millis(300));
        let pid = i32::try_from(enclave.query_processes()[0]).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        let ended = running.finish(&known);
        ended_by(&ended, JobCode::ProcessDied, OutcomeClass::Died);
    }
}

#[test]
fn a_forged_repeated_or_misplaced_frame_ends_the_job() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let forge: [fn(&mut crate::client::Running); 3] = [
        |running| running.link.send(Kind::Control, &[0; 40]),
        |running| running.link.send(Kind::Job, &[0; 40]),
        |running| {
            let other = running
                .session
                .control()
                .unwrap()
                .seal(ControlMessage::KeepAlive);
            let sealed = other.unwrap();
            running.link.send(Kind::Control, &sealed);
            running.link.send(Kind::Control, &sealed);
        },
    ];
    for forge in forge {
        let mut running = submit(&enclave, &known, &Ask::new(LONG));
        forge(&mut running);
        let ended = running.finish(&known);
        ended_by(&ended, JobCode::Malformed, OutcomeClass::Ended);
    }
}
