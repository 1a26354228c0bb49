//! A malicious relay between host and enclave. After `accepted` every change is refused; before it nothing but
//! back-off changes; neither side ever crashes or hangs, and the next honest job is answered.

use std::time::Duration;

use duckblind_protocol::frames::{HostCode, HostSays, Kind};
use duckblind_tests::client;
use duckblind_tests::command::Ran;
use duckblind_tests::options::Options;
use duckblind_tests::relay::{Attack, Plan, Relay};
use duckblind_tests::running;
use duckblind_tests::stack::{ENDLESS, Stack, arrow_answer, path};
use rustix::process::Signal;

use crate::limits::busiest;

/// Longest that any attack may keep a requester busy, with timeouts of one second.
const BOUND: Duration = Duration::from_secs(40);

/// Exit codes of a job that came to harm: too large, rejected, stale, malformed, unreachable, busy, limit, died.
const HARM: [i32; 8] = [2, 10, 13, 30, 40, 41, 50, 51];

/// Many chunks.
const LARGE: &str = "select a.n, b.n as m from numbers a, numbers b where a.n < 300";
const LARGE_ROWS: usize = 300_000;

fn stack() -> Stack {
    let stack = Stack::start(Options::impatient().relayed());
    stack.seal_numbers();
    stack
}

fn relay(stack: &Stack) -> &Relay {
    stack.relay.as_ref().expect("relayed")
}

/// What a machine's owner can do to any frame.
fn attacks(other: Kind) -> Vec<Attack> {
    vec![
        Attack::Flip(0),
        Attack::Flip(500),
        Attack::Flip(999),
        Attack::Shorten,
        Attack::Lengthen,
        Attack::Drop,
        Attack::Repeat,
        Attack::Reorder,
        Attack::Withhold,
        Attack::Cut,
        Attack::Oversize(0xffff_fff0),
        Attack::Oversize(2 << 20),
        Attack::Relabel(other as u8),
        Attack::Relabel(0xee),
        Attack::Replace(Vec::new()),
    ]
}

/// Attacks one frame of `kind` during a job and says how the job went.
#[track_caller]
fn attacked(stack: &mut Stack, kind: Kind, attack: &Attack, sql: &str, more: &[&str]) -> Ran {
    let what = format!("{kind:?} {attack:?}");
    relay(stack).attack(Plan {
        kind: kind as u8,
        skip: 0,
        every: false,
        attack: attack.clone(),
    });
    let file = stack.dir().join("answer.arrow");
    let arguments = [&["--format", "arrow", "-o", path(&file)], more].concat();
    let ran = stack.query(sql, &["numbers"], &arguments);
    assert!(
        relay(stack).hits() > 0,
        "{what}: no such frame came by\n{}",
        ran.stderr
    );
    relay(stack).behave();
    if ran.code == 0 {
        let answer = arrow_answer(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(answer.rows.len(), LARGE_ROWS, "{what}: a wrong answer");
        std::fs::remove_file(&file).unwrap();
    } else {
        assert!(
            HARM.contains(&ran.code),
            "{what}: exit code {}\n{}",
            ran.code,
            ran.stderr
        );
        assert!(
            ran.stderr.contains("error["),
            "{what}: no coded error\n{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("hint:"),
            "{what}: no hint\n{}",
            ran.stderr
        );
        assert!(!file.exists(), "{what}: half an answer was kept");
    }
    assert!(ran.took < BOUND, "{what}: took {:?}", ran.took);
    assert!(
        stack.host.is_running(),
        "{what}: the host ended\n{}",
        stack.host.logged()
    );
    assert!(
        stack.enclave.is_running(),
        "{what}: the enclave ended\n{}",
        stack.enclave.logged()
    );
    ran
}

fn before_accepted(kind: Kind, other: Kind) {
    let mut stack = stack();
    for attack in attacks(other) {
        // One attempt may fail, or a second one succeed by itself; what counts is that nothing is wrong after.
        attacked(&mut stack, kind, &attack, LARGE, &[]);
    }
    stack.must_work();
}

#[test]
fn of_hello() {
    let _test = running::test("attack hello");
    before_accepted(Kind::Hello, Kind::Job);
}

#[test]
fn of_ticket() {
    let _test = running::test("attack ticket");
    before_accepted(Kind::Ticket, Kind::Accepted);
}

#[test]
fn of_job() {
    let _test = running::test("attack job");
    before_accepted(Kind::Job, Kind::Hello);
}

#[test]
fn of_accepted() {
    let _test = running::test("attack accepted");
    before_accepted(Kind::Accepted, Kind::Refused);
}

#[test]
fn of_refused() {
    let _test = running::test("attack refused");
    let options = Options::impatient().relayed();
    let mut stack = Stack::start(options.limit("max_jobs", 1).limit("standbys", 1));
    stack.seal_numbers();
    // The only place is taken: an honest refusal, which the relay may hide but not change.
    for attack in attacks(Kind::Accepted) {
        let first = stack.start_query(ENDLESS, &["numbers"], &[]);
        busiest(&stack);
        let ran = attacked_refusal(&mut stack, &attack, &[]);
        assert_ne!(ran.code, 0, "{attack:?}: a refused job was answered");
        first.signal(Signal::INT);
        first.finish();
    }
    stack.must_work();
}

#[track_caller]
fn attacked_refusal(stack: &mut Stack, attack: &Attack, more: &[&str]) -> Ran {
    relay(stack).attack(Plan {
        kind: Kind::Refused as u8,
        skip: 0,
        every: false,
        attack: attack.clone(),
    });
    let ran = stack.query("select 1", &[], more);
    relay(stack).behave();
    assert!(ran.took < BOUND, "{attack:?}: took {:?}", ran.took);
    assert!(
        matches!(ran.code, 2 | 10 | 30 | 40 | 41),
        "{attack:?}: {} {}",
        ran.code,
        ran.stderr
    );
    ran
}

/// After `accepted`: whatever is done to the result or its receipt, there is no answer.
fn after_accepted(kind: Kind, other: Kind) {
    let mut stack = stack();
    for attack in attacks(other) {
        let ran = attacked(&mut stack, kind, &attack, LARGE, &[]);
        // The receipt is the last thing that is read: what follows it changes nothing, and the answer is right.
        if kind == Kind::Status && matches!(attack, Attack::Repeat | Attack::Reorder) {
            continue;
        }
        assert_ne!(ran.code, 0, "{kind:?} {attack:?} was not noticed");
        assert!(
            matches!(ran.code, 10 | 40 | 50),
            "{kind:?} {attack:?}: {}",
            ran.stderr
        );
    }
    stack.must_work();
}

#[test]
fn of_chunks() {
    let _test = running::test("attack chunks");
    after_accepted(Kind::Chunk, Kind::Status);
}

#[test]
fn of_the_receipt() {
    let _test = running::test("attack status");
    after_accepted(Kind::Status, Kind::Chunk);
}

#[test]
fn of_later_chunks() {
    let _test = running::test("attack later chunks");
    let mut stack = stack();
    let chunks = |stack: &Stack| {
        relay(stack).take_seen();
        stack.answer(LARGE, &["numbers"]).unwrap();
        let seen = relay(stack).take_seen();
        let of_chunk = |seen: &&duckblind_tests::relay::Seen| seen.frame.kind == Kind::Chunk as u8;
        seen.iter()
            .filter(of_chunk)
            .map(|s| s.frame.payload.clone())
            .collect::<Vec<_>>()
    };
    let earlier = chunks(&stack);
    assert!(earlier.len() >= 3, "{} chunks", earlier.len());
    let last = earlier.len() - 1;
    for (skip, attack) in [
        (1, Attack::Flip(500)),
        (1, Attack::Drop),
        (1, Attack::Repeat),
        (1, Attack::Reorder),
        // The final chunk is the truth about count and status: without it, or moved, there is no answer.
        (last, Attack::Flip(0)),
        (last, Attack::Drop),
        (last, Attack::Repeat),
        (last - 1, Attack::Reorder),
        (last - 1, Attack::Drop),
        // A piece of another job at the same place.
        (0, Attack::Replace(earlier[0].clone())),
        (1, Attack::Replace(earlier[1].clone())),
        (last, Attack::Replace(earlier[last].clone())),
        (1, Attack::Insert(Kind::Chunk as u8, earlier[1].clone())),
    ] {
        let plan = Plan {
            kind: Kind::Chunk as u8,
            skip,
            every: false,
            attack: attack.clone(),
        };
        relay(&stack).attack(plan);
        let file = stack.dir().join("answer.csv");
        let ran = stack.query(LARGE, &["numbers"], &["-o", path(&file)]);
        assert!(
            relay(&stack).hits() > 0,
            "{attack:?} of chunk {skip}: not struck"
        );
        relay(&stack).behave();
        assert_eq!(ran.code, 10, "{attack:?} of chunk {skip}: {}", ran.stderr);
        assert!(
            !file.exists(),
            "{attack:?} of chunk {skip}: half an answer was kept"
        );
        assert!(ran.took < BOUND);
    }
    stack.must_work();
}

#[test]
fn of_a_stream_to_stdout() {
    let _test = running::test("attack stdout");
    let mut stack = stack();
    relay(&stack).attack(Plan {
        kind: Kind::Chunk as u8,
        skip: 2,
        every: false,
        attack: Attack::Cut,
    });
    let ran = stack.query(LARGE, &["numbers"], &["--format", "csv"]);
    relay(&stack).behave();
    assert_eq!(ran.code, 10, "{}", ran.stderr);
    assert!(ran.stderr.contains("output incomplete"), "{}", ran.stderr);
    stack.must_work();
}

#[test]
fn of_keep_alives() {
    let _test = running::test("attack control");
    let mut stack = stack();
    for attack in [
        Attack::Flip(500),
        Attack::Shorten,
        Attack::Drop,
        Attack::Repeat,
        Attack::Reorder,
        Attack::Relabel(Kind::Job as u8),
        Attack::Replace(Vec::new()),
        Attack::Withhold,
        Attack::Cut,
    ] {
        let ran = attacked(
            &mut stack,
            Kind::Control,
            &attack,
            ENDLESS,
            &["--timeout", "4s"],
        );
        assert_ne!(ran.code, 0, "{attack:?}");
        assert!(
            ran.took < Duration::from_secs(20),
            "{attack:?}: {:?}",
            ran.took
        );
    }
    // None at all arrives: the job ends long before its time limit.
    relay(&stack).attack(Plan {
        kind: Kind::Control as u8,
        skip: 0,
        every: true,
        attack: Attack::Drop,
    });
    let ran = stack.query(ENDLESS, &["numbers"], &["--timeout", "60s"]);
    relay(&stack).behave();
    ran.refused("DB-JOB-069", 50)
        .within(Duration::from_secs(20));
    stack.must_work();
}

#[test]
fn of_evidence() {
    let _test = running::test("attack evidence");
    let mut stack = stack();
    for kind in [Kind::Challenge, Kind::Evidence] {
        for attack in attacks(Kind::Hello) {
            relay(&stack).attack(Plan {
                kind: kind as u8,
                skip: 0,
                every: true,
                attack: attack.clone(),
            });
            let ran = stack.query("select 1 as a", &[], &["--fresh", "--format", "csv"]);
            let hits = relay(&stack).hits();
            relay(&stack).behave();
            let what = format!("{kind:?} {attack:?}");
            assert!(hits > 0, "{what}: not struck");
            // Once more of the same, or a little later, is all that a relay may do and not be noticed.
            let harmless =
                matches!(attack, Attack::Repeat | Attack::Reorder) && ran.text() == "a\n1\n";
            assert!(harmless || ran.code != 0, "{what} was not noticed");
            assert!(
                harmless || HARM.contains(&ran.code),
                "{what}: {} {}",
                ran.code,
                ran.stderr
            );
            assert!(ran.took < BOUND, "{what}: {:?}", ran.took);
        }
    }
    // The host's own attestation was attacked, too.
    stack.must_work_soon();
}

/// What only the host itself reads: it is its owner's to believe, but it must not fall over.
#[test]
fn of_what_the_host_reads() {
    let _test = running::test("attack usage");
    let mut stack = stack();
    for attack in attacks(Kind::Status) {
        relay(&stack).attack(Plan {
            kind: Kind::Usage as u8,
            skip: 0,
            every: false,
            attack: attack.clone(),
        });
        let ran = stack.query("select 1 as a", &[], &["--format", "csv"]);
        relay(&stack).behave();
        assert!(
            ran.code == 0 || HARM.contains(&ran.code),
            "{attack:?}: {}",
            ran.stderr
        );
        assert!(ran.took < BOUND, "{attack:?}: {:?}", ran.took);
        assert!(
            stack.host.is_running(),
            "{attack:?}: {}",
            stack.host.logged()
        );
    }
    stack.must_work();
}

#[test]
fn with_words_of_its_own() {
    let _test = running::test("attack host says");
    let mut stack = stack();
    let says = HostSays {
        v: 1,
        code: HostCode::Busy,
        retry_after_ms: Some(1),
    }
    .encode();
    for kind in [Kind::Ticket, Kind::Accepted, Kind::Chunk, Kind::Status] {
        let insert = Attack::Insert(Kind::HostSays as u8, says.clone());
        let ran = attacked(&mut stack, kind, &insert, LARGE, &[]);
        assert_ne!(
            ran.code, 0,
            "{kind:?}: a word of the host's was taken for the enclave's"
        );
    }
    stack.must_work();
}

#[test]
fn that_replays_a_job() {
    let _test = running::test("attack replay");
    let mut stack = stack();
    relay(&stack).take_seen();
    stack.answer("select 1 as a", &[]).unwrap();
    let seen = relay(&stack).take_seen();
    let of = |kind: Kind| {
        let found = seen.iter().find(|seen| seen.frame.kind == kind as u8);
        found.expect("seen").frame.payload.clone()
    };
    let (job, accepted) = (of(Kind::Job), of(Kind::Accepted));
    // An old job in place of a new one: refused, and the refusal is about another encapsulation.
    let ran = attacked(&mut stack, Kind::Job, &Attack::Replace(job), LARGE, &[]);
    assert_ne!(ran.code, 0, "an old job was run in place of a new one");
    // An old acceptance in place of a new one.
    let ran = attacked(
        &mut stack,
        Kind::Accepted,
        &Attack::Replace(accepted),
        LARGE,
        &[],
    );
    assert_eq!(ran.code, 10, "{}", ran.stderr);
    stack.must_work();
}

#[test]
fn that_delays_a_job_beyond_its_expiry() {
    let _test = running::test("attack delay");
    let mut stack = stack();
    let ran = attacked(&mut stack, Kind::Job, &Attack::Delay(1_500), LARGE, &[]);
    assert_eq!(ran.code, 13, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("DB-JOB-004") || ran.stderr.contains("DB-JOB-005"),
        "{}",
        ran.stderr
    );
    stack.must_work();
}

#[test]
fn that_withholds_with_ordinary_patience() {
    let _test = running::test("attack default timeouts");
    let mut stack = Stack::start(Options::default().relayed());
    stack.seal_numbers();
    relay(&stack).attack(Plan {
        kind: Kind::Chunk as u8,
        skip: 1,
        every: false,
        attack: Attack::Withhold,
    });
    let file = stack.dir().join("answer.csv");
    let ran = stack.query(LARGE, &["numbers"], &["-o", path(&file)]);
    relay(&stack).behave();
    assert!(
        matches!(ran.code, 10 | 40 | 50),
        "{} {}",
        ran.code,
        ran.stderr
    );
    assert!(
        ran.took > Duration::from_secs(20),
        "gave up after {:?}",
        ran.took
    );
    assert!(
        ran.took < Duration::from_secs(75),
        "gave up after {:?}",
        ran.took
    );
    assert!(!file.exists());
    stack.must_work();
}

/// The other side of the host: a peer that speaks QUIC but no frame that there is.
#[test]
fn by_a_peer_of_the_host() {
    let _test = running::test("attack host");
    let mut stack = stack();
    client::runtime().block_on(async {
        let session = client::connect(&stack, false).await.unwrap();
        for bytes in [
            vec![Kind::Chunk as u8, 0, 0, 0, 1, 0],
            vec![Kind::Watch as u8, 0, 0, 0, 0],
            vec![Kind::HostSays as u8, 0, 0, 0, 0],
            vec![99, 0, 0, 0, 0],
            vec![Kind::Job as u8, 0xff, 0xff, 0xff, 0xff],
            vec![Kind::Hello as u8, 0, 0],
            vec![0xff; 10_000],
            Vec::new(),
        ] {
            let connection = session.connection().await.unwrap();
            let (mut send, mut receive) = connection.open_bi().await.unwrap();
            let _ = send.write_all(&bytes).await;
            if bytes.is_empty() {
                let _ = send.finish();
            }
            let answer = tokio::time::timeout(BOUND, receive.read_to_end(1 << 16)).await;
            let answer =
                answer.unwrap_or_else(|_| panic!("the host waits for ever after {bytes:?}"));
            if let Ok(answer) = answer {
                assert!(
                    answer.is_empty()
                        || answer[0] == Kind::HostSays as u8
                        || answer[0] == Kind::Refused as u8,
                    "{bytes:?} was answered with {answer:?}"
                );
            }
        }
    });
    stack.must_work();
}
