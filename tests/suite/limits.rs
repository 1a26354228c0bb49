//! Limits of a job and of a node: reached, said, and everything goes on.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use duckblind_tests::options::Options;
use duckblind_tests::process::{cpu_ticks, descendants};
use duckblind_tests::running;
use duckblind_tests::stack::{ENDLESS, Stack, path};
use rustix::process::{Pid, Signal, kill_process};

const SOON: Duration = Duration::from_secs(20);

fn numbers(options: Options) -> Stack {
    let stack = Stack::start(options);
    stack.seal_numbers();
    stack
}

/// Waits for a query process to be gone.
fn ends_within(worker: u32, time: Duration) {
    let begin = Instant::now();
    while fs::exists(format!("/proc/{worker}")).unwrap() {
        assert!(begin.elapsed() < time, "the query process goes on");
        sleep(Duration::from_millis(10));
    }
}

/// The process among the enclave's that is working.
pub(crate) fn busiest(stack: &Stack) -> u32 {
    let begin = Instant::now();
    loop {
        let busiest = descendants(stack.enclave.pid())
            .into_iter()
            .max_by_key(|&pid| cpu_ticks(pid));
        if let Some(pid) = busiest
            && cpu_ticks(pid) > 30
        {
            return pid;
        }
        assert!(
            begin.elapsed() < SOON,
            "no process of the enclave is working"
        );
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn time() {
    let _test = running::test("time limit");
    let mut stack = numbers(Options::default());
    let ran = stack.query(ENDLESS, &["numbers"], &["--timeout", "1s"]);
    let ran = ran.refused("DB-JOB-065", 50).within(SOON);
    assert!(ran.took >= Duration::from_secs(1));
    stack.must_work();
}

#[test]
fn time_of_the_node() {
    let _test = running::test("wall limit");
    let mut stack = numbers(Options::default().limit("wall_ms", 1_000));
    stack
        .query(ENDLESS, &["numbers"], &[])
        .refused("DB-JOB-065", 50)
        .within(SOON);
    stack
        .query("select 1", &[], &["--timeout", "1h"])
        .refused("DB-JOB-009", 2)
        .within(SOON);
    stack.must_work();
}

#[test]
fn memory() {
    let _test = running::test("memory limit");
    let mut stack = numbers(Options::default());
    let sql = "select count(*) as c from (select distinct a.n * 1000000 + b.n * 1000 + c.n as x \
               from numbers a, numbers b, numbers c)";
    let ran = stack.query(sql, &["numbers"], &["--memory", "64MiB"]);
    ran.refused("DB-JOB-064", 50)
        .within(Duration::from_secs(60));
    stack.must_work();
}

#[test]
fn result() {
    let _test = running::test("result limit");
    let mut stack = numbers(Options::default());
    let file = stack.dir().join("out.csv");
    let sql = "select a.n, b.n as m from numbers a, numbers b, numbers c";
    let more = ["--max-result", "1MiB", "--format", "csv", "-o", path(&file)];
    stack
        .query(sql, &["numbers"], &more)
        .refused("DB-JOB-066", 50)
        .within(SOON);
    assert!(!file.exists(), "half an answer was kept");
    stack.must_work();
}

#[test]
fn places() {
    let _test = running::test("busy");
    let mut stack = numbers(Options::default().limit("max_jobs", 1).limit("standbys", 1));
    let first = stack.start_query(ENDLESS, &["numbers"], &[]);
    busiest(&stack);
    let second = stack.query("select 1", &[], &[]);
    second.refused("DB-JOB-001", 41).within(SOON);
    first.signal(Signal::INT);
    first.finish().within(SOON);
    stack.must_work();
}

#[test]
fn a_process_that_dies() {
    let _test = running::test("died");
    let mut stack = numbers(Options::default());
    let query = stack.start_query(ENDLESS, &["numbers"], &[]);
    let pid = i32::try_from(busiest(&stack)).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    query.finish().refused("DB-JOB-067", 51).within(SOON);
    stack.must_work();
}

#[test]
fn ctrl_c() {
    let _test = running::test("ctrl-c");
    let mut stack = numbers(Options::default());
    let file = stack.dir().join("out.csv");
    let query = stack.start_query(
        ENDLESS,
        &["numbers"],
        &["--format", "csv", "-o", path(&file)],
    );
    let worker = busiest(&stack);
    query.signal(Signal::INT);
    let ran = query.finish().within(SOON);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(!file.exists(), "half an answer was kept");
    ends_within(worker, Duration::from_secs(3));
    stack.must_work();
}

#[test]
fn a_requester_that_vanishes() {
    let _test = running::test("vanished");
    let mut stack = numbers(Options::impatient());
    let query = stack.start_query(ENDLESS, &["numbers"], &[]);
    let worker = busiest(&stack);
    query.signal(Signal::KILL);
    query.finish();
    // Keep-alives are missed after a second; the host may need its own time to see the end.
    ends_within(worker, Duration::from_secs(10));
    stack.must_work();
}

#[test]
fn a_requester_that_does_not_read() {
    let _test = running::test("stalled");
    let mut stack = numbers(Options::impatient());
    let sql = "select a.n, b.n as m, c.n as o from numbers a, numbers b, numbers c";
    let query = stack.start_query(sql, &["numbers"], &["--format", "arrow"]);
    let worker = busiest(&stack);
    query.signal(Signal::STOP);
    ends_within(worker, Duration::from_secs(10));
    query.signal(Signal::CONT);
    query.signal(Signal::KILL);
    query.finish();
    stack.must_work();
}

#[test]
fn an_enclave_told_to_stop() {
    let _test = running::test("drain");
    let mut stack = numbers(Options::impatient());
    let query = stack.start_query(ENDLESS, &["numbers"], &[]);
    busiest(&stack);
    stack.enclave.signal(Signal::TERM).unwrap();
    let status = stack.enclave.wait(Duration::from_secs(10)).unwrap();
    assert!(status.success(), "{status}\n{}", stack.enclave.logged());
    let ran = query.finish().within(SOON).hinted();
    assert!(
        matches!(ran.code, 10 | 40 | 41 | 51),
        "{} {}",
        ran.code,
        ran.stderr
    );
    stack.host.signal(Signal::TERM).unwrap();
    let status = stack.host.wait(Duration::from_secs(10)).unwrap();
    assert!(status.success(), "{status}\n{}", stack.host.logged());
}

#[test]
fn hosts_limit_their_peers() {
    let _test = running::test("host limits");
    let mut stack = numbers(Options::default().host_limit("streams", 1));
    let first = stack.start_query(ENDLESS, &["numbers"], &[]);
    busiest(&stack);
    let ran = stack.query("select 1", &[], &[]).hinted().within(SOON);
    assert_eq!(ran.code, 41, "{}", ran.stderr);
    first.signal(Signal::INT);
    first.finish();
    stack.must_work();
}
