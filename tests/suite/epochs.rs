//! Keys change: at the end of an epoch, and when an enclave is started again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use duckblind::client::attested::stored;
use duckblind::client::{Presented, VerifierClient};
use duckblind::trust::Trust;
use duckblind_attestation::evidence::Evidence;
use duckblind_protocol::key_statement::KeyStatement;
use duckblind_tests::client;
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::Stack;
use rustix::process::Signal;

/// The epoch that evidence speaks of.
fn epoch(presented: &Presented) -> u64 {
    let evidence = Evidence::decode(&presented.evidence).unwrap();
    KeyStatement::decode(&evidence.key_statement).unwrap().epoch
}

#[test]
fn are_crossed_by_one_session() {
    let _test = running::test("epochs");
    let mut stack = Stack::start(Options::default().timeout("epoch_ms", 2_000));
    client::runtime().block_on(async {
        let trust = Trust::load(&stack.trust()).unwrap();
        let verifier = VerifierClient::new(trust.verifier()).unwrap();
        let session = client::connect(&stack, false).await.unwrap();
        let request = client::request(&stack, "select 1 as a", &[]).unwrap();
        let mut keys = BTreeSet::new();
        let mut with_the_one_before = 0;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(9) {
            let current = stored(&verifier, session.node()).await.unwrap().1;
            let answer = client::run(&session, &request).await.unwrap();
            assert_eq!(answer.rows.len(), 1);
            let used = session.attested().await;
            keys.insert(used.key.key_statement());
            with_the_one_before += u32::from(epoch(&used.presented) + 1 == epoch(&current));
        }
        assert!(keys.len() >= 3, "{} epochs were seen", keys.len());
        // An attestation result is good to its end, though a new key has come meanwhile.
        assert!(with_the_one_before > 0, "no key was used in the overlap");
    });
    stack.must_work_soon();
}

#[test]
fn are_crossed_by_a_running_job() {
    let _test = running::test("epoch in a job");
    let mut stack = Stack::start(Options::default().timeout("epoch_ms", 2_000));
    stack.seal_numbers();
    client::runtime().block_on(async {
        let session = client::connect(&stack, false).await.unwrap();
        let sql = "select count(*) as c from numbers a, numbers b, numbers c, numbers d \
                   where d.n < 8 and (a.n * b.n + c.n * d.n) % 3 < 3";
        let request = client::request(&stack, sql, &["numbers"]).unwrap();
        let begin = Instant::now();
        let answer = client::run(&session, &request).await.unwrap();
        assert_eq!(answer.single().unwrap().to_string(), "8000000000");
        assert!(
            begin.elapsed() > Duration::from_millis(2_000),
            "too quick to cross an epoch"
        );
    });
    stack.must_work_soon();
}

#[test]
fn end_when_the_enclave_is_started_again() {
    let _test = running::test("restart");
    let mut stack = Stack::start(Options::default());
    stack.seal_csv("people", "id,name\n1,Ada\n");
    let runtime = client::runtime();
    for signal in [Signal::KILL, Signal::TERM] {
        // Attested, then the enclave is another one: nothing sealed to the old key is of any use to it.
        let session = runtime.block_on(client::connect(&stack, false)).unwrap();
        let before = runtime.block_on(session.attested());
        stack.restart_enclave(signal).unwrap();
        let request = client::request(&stack, "select name from people", &["people"]).unwrap();
        let answer = runtime.block_on(client::run(&session, &request));
        let answer = answer.unwrap_or_else(|error| panic!("after {signal:?}: {error:?}"));
        assert_eq!(answer.single().unwrap().to_string(), "Ada");
        let after = runtime.block_on(session.attested());
        assert_ne!(before.key.key_statement(), after.key.key_statement());
        assert_ne!(before.key.instance_key(), after.key.instance_key());
        // And by the command line, from what the verifier has.
        stack.must_work_soon();
    }
}

#[test]
fn attestation_results_end_and_are_renewed() {
    let _test = running::test("ear life");
    let mut stack = Stack::start(Options {
        ear_lifetime_ms: 2_000,
        ..Options::default()
    });
    client::runtime().block_on(async {
        let session = client::connect(&stack, false).await.unwrap();
        let request = client::request(&stack, "select 1 as a", &[]).unwrap();
        let first = session.attested().await.key.ear().claims().exp;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            client::run(&session, &request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(
            session.attested().await.key.ear().claims().exp > first,
            "the same result was used on"
        );
    });
    stack.must_work_soon();
}
