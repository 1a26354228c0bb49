//! Jobs sealed to the keys of one boot, opened before, in and after the overlap.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::body::{self, QuerySection, SecretText};
use duckblind_protocol::hazmat;
use duckblind_protocol::ids::{JobId, Ticket};
use duckblind_protocol::order::{Class, Limits, OrderDraft};
use ed25519_dalek::SigningKey;

use super::*;
use crate::supervisor::replay::MAX_JOBS;

const T0: BootTime = BootTime::from_millis(5_000);
const EPOCH: u64 = 1000;

fn identity() -> Identity {
    Identity {
        tee: Tee::SevSnp,
        instance_key: PublicKey::from_bytes([1; 32]),
        instance: InstanceId::from_bytes([2; 32]),
        config: Digest::of(b"config"),
        release: Digest::of(b"release"),
    }
}

fn epochs() -> Epochs {
    Epochs::begin(identity(), 1000, 60_000, T0).unwrap()
}

fn ticket(epochs: &Epochs, now: BootTime) -> Ticket {
    epochs
        .with_tickets(|tickets| tickets.issue(now))
        .unwrap()
        .unwrap()
}

/// A job sealed to an epoch's key.
fn job(note: &Note, job: u8, ticket: Ticket) -> SealedJob {
    let statement = KeyStatement::decode(&note.statement).unwrap();
    let draft = OrderDraft {
        job: JobId::from_bytes([job; 16]),
        ticket,
        class: Class::L2,
        limits: Limits {
            wall_ms: 1,
            memory_bytes: 1,
            result_bytes: 1,
            threads: 1,
        },
        expiry_ms: 1,
        endpoints: vec![],
        inputs: vec![],
    };
    let query = QuerySection {
        v: body::VERSION,
        sql: SecretText::new("SELECT 1".to_owned()),
        inputs: vec![],
    };
    let signer = SigningKey::from_bytes(&[5; 32]);
    let (sealed, _) =
        hazmat::seal(&statement.kem_key, &note.digest, draft, &query, &signer).unwrap();
    sealed
}

fn open(epochs: &Epochs, sealed: &SealedJob, now: BootTime) -> Result<BootTime, JobCode> {
    epochs.open(sealed, now).map(|(_, issued)| issued)
}

/// Lets the current epoch see as many jobs as it may.
fn fill(epochs: &Epochs) {
    let living = epochs.read();
    let current = living.as_ref().unwrap().current.as_ref().unwrap();
    let mut seen = lock(&current.seen);
    for n in 1..=MAX_JOBS as u128 {
        // None of the ids that `job` makes.
        seen.insert(&JobId::from_bytes(n.to_be_bytes()));
    }
}

#[test]
fn statements_are_chained_and_keys_differ() {
    let epochs = epochs();
    let first = epochs.current(T0.plus(999)).unwrap();
    let second = epochs.current(T0.plus(1000)).unwrap();
    let decode = |note: &Note| KeyStatement::decode(&note.statement).unwrap();
    assert_eq!(second.digest, Digest::of(&second.statement));
    assert_eq!(decode(&second).epoch, 1);
    assert_eq!(decode(&second).prev, Some(first.digest));
    assert_ne!(decode(&first).kem_key, decode(&second).kem_key);
    assert_eq!(*epochs.watch().borrow(), second);
}

#[test]
fn a_key_opens_jobs_until_the_next_epoch_ends() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let bearer = ticket(&epochs, T0);
    // The ticket of one epoch, the key of the same, the job in the next.
    let overlap = T0.plus(EPOCH);
    assert_eq!(open(&epochs, &job(&first, 1, bearer), overlap), Ok(T0));
    let second = epochs.current(overlap).unwrap();
    assert_eq!(second.number, 1);
    // To its last millisecond, and not a millisecond longer.
    let last = T0.plus(2 * EPOCH - 1);
    let bearer = ticket(&epochs, last);
    let late = job(&first, 2, bearer);
    let (one, other) = (ticket(&epochs, last), ticket(&epochs, last));
    assert_eq!(open(&epochs, &job(&first, 3, one), last), Ok(last));
    assert_eq!(open(&epochs, &job(&second, 4, other), last), Ok(last));
    let over = T0.plus(2 * EPOCH);
    assert_eq!(open(&epochs, &late, over), Err(JobCode::StaleKey));
    // It used nothing up, and the key after it has an epoch more.
    assert_eq!(open(&epochs, &job(&second, 2, bearer), over), Ok(last));
    assert_eq!(epochs.current(over).unwrap().number, 2);
    let over = T0.plus(3 * EPOCH);
    let stale = job(&second, 5, ticket(&epochs, over));
    assert_eq!(open(&epochs, &stale, over), Err(JobCode::StaleKey));
}

#[test]
fn a_key_is_wiped_on_time_though_the_epoch_after_it_began_late() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let sealed = job(&first, 1, ticket(&epochs, T0));
    // Nobody asked, and nothing woke, for half an epoch.
    let late = T0.plus(EPOCH + EPOCH / 2);
    let second = epochs.current(late).unwrap();
    assert_eq!(second.ends, late.plus(EPOCH));
    assert_eq!(epochs.turn(late).unwrap(), T0.plus(2 * EPOCH));
    let over = T0.plus(2 * EPOCH);
    assert_eq!(open(&epochs, &sealed, over), Err(JobCode::StaleKey));
    assert_eq!(epochs.current(over).unwrap(), second);
    assert!(epochs.read().as_ref().unwrap().previous.is_none());
    // Two epochs slept through: both keys are gone.
    let sealed = job(&second, 2, ticket(&epochs, over));
    let late = second.ends.plus(EPOCH);
    assert_eq!(open(&epochs, &sealed, late), Err(JobCode::StaleKey));
    assert_eq!(epochs.current(late).unwrap().number, 2);
    assert!(epochs.read().as_ref().unwrap().previous.is_none());
}

#[test]
fn no_job_opens_twice_on_either_side_of_a_rotation() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let early = job(&first, 1, ticket(&epochs, T0));
    assert_eq!(open(&epochs, &early, T0), Ok(T0));
    assert_eq!(open(&epochs, &early, T0), Err(JobCode::Replayed));
    // Opened before the rotation, again after it.
    let overlap = T0.plus(EPOCH);
    assert_eq!(open(&epochs, &early, overlap), Err(JobCode::Replayed));
    // Opened by the old key after the rotation, and again.
    let bearer = ticket(&epochs, overlap);
    let crossing = job(&first, 2, bearer);
    assert_eq!(open(&epochs, &crossing, overlap), Ok(overlap));
    assert_eq!(open(&epochs, &crossing, overlap), Err(JobCode::Replayed));
    // Its ticket serves no job of the new key.
    let second = epochs.current(overlap).unwrap();
    let sharing = job(&second, 3, bearer);
    assert_eq!(
        open(&epochs, &sharing, overlap),
        Err(JobCode::TicketUnknown)
    );
    // What remembered them is gone with what could open them.
    let over = T0.plus(2 * EPOCH);
    for job in [&early, &crossing] {
        assert_eq!(open(&epochs, job, over), Err(JobCode::StaleKey));
    }
}

#[test]
fn what_is_refused_for_its_ticket_uses_nothing_up() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let sealed = job(&first, 1, Ticket::from_bytes([9; 16]));
    for _ in 0..2 {
        assert_eq!(open(&epochs, &sealed, T0), Err(JobCode::TicketUnknown));
    }
    let second = job(&first, 1, ticket(&epochs, T0));
    assert_eq!(open(&epochs, &second, T0), Ok(T0));
}

#[test]
fn an_epoch_that_has_seen_too_many_jobs_ends_early_and_takes_no_more() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let seen = job(&first, 0xee, ticket(&epochs, T0));
    assert_eq!(open(&epochs, &seen, T0), Ok(T0));
    let bearer = ticket(&epochs, T0);
    fill(&epochs);
    let early = T0.plus(EPOCH / 2);
    let second = epochs.current(early).unwrap();
    assert_eq!((second.number, second.ends), (1, early.plus(EPOCH)));
    // Its key is still there to say what is a replay, and for nothing else.
    assert_eq!(open(&epochs, &seen, early), Err(JobCode::Replayed));
    let more = job(&first, 0xdd, bearer);
    assert_eq!(open(&epochs, &more, early), Err(JobCode::StaleKey));
    let more = job(&second, 0xdd, bearer);
    assert_eq!(open(&epochs, &more, early), Ok(T0));
    // Full again: the first key goes early, too.
    fill(&epochs);
    assert_eq!(epochs.current(early).unwrap().number, 2);
    assert_eq!(open(&epochs, &seen, early), Err(JobCode::StaleKey));
    assert_eq!(open(&epochs, &more, early), Err(JobCode::Replayed));
}

#[test]
fn closed_for_good() {
    let epochs = epochs();
    let first = epochs.current(T0).unwrap();
    let early = job(&first, 1, ticket(&epochs, T0));
    let now = T0.plus(EPOCH);
    let second = epochs.current(now).unwrap();
    let late = job(&second, 2, ticket(&epochs, now));
    epochs.close();
    for sealed in [&early, &late] {
        assert_eq!(open(&epochs, sealed, now), Err(JobCode::Draining));
    }
    assert!(epochs.with_tickets(|_| ()).is_none());
    for now in [now, T0.plus(9999)] {
        assert!(matches!(epochs.current(now), Err(NoEpoch::Closed)));
    }
}

#[tokio::test]
async fn kept_on_time_without_anybody_asking() {
    let epochs = Epochs::begin(identity(), 30, 60_000, BootTime::now()).unwrap();
    let first = epochs.current(BootTime::now()).unwrap().digest;
    let mut watch = epochs.watch();
    tokio::select! {
        _ = epochs.keep() => {}
        note = watch.wait_for(|note| note.number == 2) => assert!(note.is_ok()),
    }
    let living = epochs.read();
    let previous = living.as_ref().unwrap().previous.as_ref();
    assert!(previous.is_none_or(|epoch| epoch.note.digest != first));
}
