//! Standbys: fresh for every job, replaced, renewed, and never outliving their supervisor.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{Ask, attest, run};
use crate::process::Enclave;

#[test]
fn each_job_has_a_process_of_its_own() {
    let enclave = Enclave::start("limits.standbys = 2");
    let known = attest(&enclave);
    enclave.wait_for_standbys(2);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        seen.extend(enclave.query_processes());
        run(&enclave, &known, &Ask::new("SELECT 1"));
        enclave.wait_for_standbys(2);
    }
    seen.extend(enclave.query_processes());
    assert!(seen.len() >= 4, "{seen:?}");
}

#[test]
fn old_and_dead_ones_are_replaced() {
    let enclave = Enclave::start("limits.standbys = 1\ntimeouts.standby_ms = 1000");
    let known = attest(&enclave);
    enclave.wait_for_standbys(1);
    let first = enclave.query_processes();
    enclave.wait_until("renewal", || {
        let now = enclave.query_processes();
        now.len() == 1 && now != first
    });
    let pid = i32::try_from(enclave.query_processes()[0]).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    // Found dead when it is needed: the job starts a process for itself.
    run(&enclave, &known, &Ask::new("SELECT 1"));
}

#[test]
fn they_die_with_their_supervisor() {
    let mut enclave = Enclave::start("");
    enclave.wait_for_standbys(2);
    let standbys = enclave.query_processes();
    enclave.signal(Signal::KILL);
    enclave.wait(Duration::from_secs(5));
    enclave.wait_until("their end", || {
        standbys.iter().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z"))
        })
    });
}
