//! What supervisor and host hold in memory during and after 50 jobs: no SQL, no Parquet key, no table value.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duckblind_lake::keys::{KeyFile, OwnerKey};
use duckblind_tests::client;
use duckblind_tests::memory::Needles;
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::sealed::LocalTable;
use duckblind_tests::stack::Stack;

const JOBS: usize = 50;

/// Whether this process may read the memory of processes that are not dumpable.
fn may_look() -> bool {
    const SYS_PTRACE: u32 = 19;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() >> SYS_PTRACE & 1 == 1
}

/// Names of the needles in the memory of supervisor and host.
fn look(stack: &Stack, needles: &Needles, when: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (who, pid) in [
        ("supervisor", stack.enclave.pid()),
        ("host", stack.host.pid()),
    ] {
        let (hits, read) = needles.found_in_process(pid).unwrap();
        assert!(read > 1 << 20, "only {read} bytes of the {who} were read");
        found.extend(hits.into_iter().map(|hit| format!("{who}, {when}: {hit}")));
    }
    found
}

#[test]
fn of_supervisor_and_host_holds_nothing_of_a_job() {
    let _test = running::test("memory");
    if !may_look() {
        eprintln!("\n*** SKIPPED: the memory test needs CAP_SYS_PTRACE (run as root) ***\n");
        return;
    }
    let canary = format!("canary{}", hex::encode(rand_bytes()));
    let stack = Stack::start(Options {
        canary: Some(canary.clone()),
        ..Options::default()
    });
    // First the proof that looking finds things.
    let mut planted = Needles::default();
    planted.add("the canary", canary.as_bytes());
    let found = look(&stack, &planted, "before");
    assert!(
        found.iter().any(|hit| hit.starts_with("supervisor"))
            && found.iter().any(|hit| hit.starts_with("host")),
        "the planted canary was not found: {found:?}"
    );

    let secret = hex::encode(rand_bytes());
    let value = format!("value-{secret}");
    let rows: String = (0..200).map(|n| format!("{n},{value}-{n}\n")).collect();
    let dir = stack.seal_csv("people", &format!("id,secret\n{rows}"));
    let owner = OwnerKey::load(&stack.owner_key()).unwrap().public();
    let keys = KeyFile::load(&stack.key_file()).unwrap();
    let table_key = keys.get("people-v1").unwrap();
    let table = LocalTable::open("people", &dir, &owner, table_key).unwrap();
    let marker = format!("marker-{}", hex::encode(rand_bytes()));

    let mut needles = Needles::default();
    needles.add("SQL text", marker.as_bytes());
    needles.add("table value", value.as_bytes());
    needles.add("table key", table_key.expose());
    for part in &table.parts {
        needles.add("Parquet key", &part.key);
    }

    let done = AtomicBool::new(false);
    let mut found = BTreeSet::new();
    std::thread::scope(|scope| {
        let jobs = scope.spawn(|| {
            client::runtime().block_on(async {
                let session = client::connect(&stack, false).await.unwrap();
                for n in 0..JOBS {
                    let sql = format!(
                        "select id, secret, '{marker}' as m from people where id >= {n} order by id"
                    );
                    let request = client::request(&stack, &sql, &["people"]).unwrap();
                    // A job that finds no place is tried again: 50 answers are wanted.
                    let answer = loop {
                        match client::run(&session, &request).await {
                            Ok(answer) => break answer,
                            Err(error) if error.to_string().contains("busy") => {
                                tokio::time::sleep(Duration::from_millis(50)).await;
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                    };
                    assert_eq!(answer.rows.len(), 200 - n);
                }
            });
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) && !jobs.is_finished() {
            found.extend(look(&stack, &needles, "during"));
        }
        jobs.join().unwrap();
    });
    found.extend(look(&stack, &needles, "after"));
    assert!(
        found.is_empty(),
        "{}",
        found.into_iter().collect::<Vec<_>>().join("\n")
    );
}

fn rand_bytes() -> [u8; 12] {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}
