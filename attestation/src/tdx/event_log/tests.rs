//! Logs that are none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// The first event, with these algorithms.
fn header(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let mut data = SIGNATURE.to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2]);
    data.extend(u32::try_from(algorithms.len()).unwrap().to_le_bytes());
    for (algorithm, size) in algorithms {
        data.extend(algorithm.to_le_bytes());
        data.extend(size.to_le_bytes());
    }
    data.push(0);
    let mut log = [1, 0, 0, 0, 3, 0, 0, 0].to_vec();
    log.extend([0; 20]);
    log.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    log.extend(data);
    log
}

fn start() -> Vec<u8> {
    header(&[(SHA384, 48)])
}

fn event(index: u32, kind: u32, digest: u8, data: &[u8]) -> Vec<u8> {
    let mut event = index.to_le_bytes().to_vec();
    event.extend(kind.to_le_bytes());
    event.extend(1u32.to_le_bytes());
    event.extend(SHA384.to_le_bytes());
    event.extend([digest; 48]);
    event.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    event.extend(data);
    event
}

fn log(events: &[Vec<u8>]) -> Vec<u8> {
    [start(), events.concat()].concat()
}

#[test]
fn registers_are_extended_in_order() {
    let zero = Measurement::from_bytes([0; 48]);
    let [a, b] = [[1; 48], [2; 48]].map(Measurement::from_bytes);
    let raw = log(&[
        event(1, 4, 1, b"x"),
        event(4, 4, 1, b""),
        event(1, 4, 2, b""),
    ]);
    let log = EventLog::parse(&raw).unwrap();
    let once = extended(&zero, &a);
    let registers = [extended(&once, &b), zero, zero, once];
    assert_eq!(log.registers(), &registers);
    let first = Event {
        register: 0,
        kind: 4,
        digest: a,
        data: b"x",
    };
    assert_eq!((log.events().len(), log.events()[0]), (3, first));
    // SHA-384 of 96 zero bytes, from another implementation.
    assert!(
        extended(&zero, &zero)
            .to_string()
            .starts_with("f57bb7ed82c6ae4a")
    );
}

#[test]
fn what_is_measured_into_nothing_counts_for_nothing() {
    for index in [0, 1, 9, u32::MAX] {
        let raw = log(&[event(index, NO_ACTION, 7, b"StartupLocality")]);
        let log = EventLog::parse(&raw).unwrap();
        assert!(log.events().is_empty());
        assert_eq!(
            log.registers(),
            EventLog::parse(&start()).unwrap().registers()
        );
    }
}

#[test]
fn filling() {
    let honest = log(&[event(2, 4, 1, b"")]);
    let parsed = |raw: &[u8]| EventLog::parse(raw).map(|log| *log.registers());
    for filler in FILLERS {
        for len in [0, 1, 7, 8, 1000] {
            let mut raw = honest.clone();
            raw.extend(vec![filler; len]);
            assert_eq!(parsed(&raw), parsed(&honest), "{filler} {len}");
            raw.push(1);
            assert!(parsed(&raw).is_err(), "{filler} {len}");
        }
    }
}

#[test]
fn other_headers() {
    let refused = |raw: &[u8]| assert_eq!(EventLog::parse(raw), Err(EventLogError::Header));
    refused(&[]);
    refused(&header(&[]));
    refused(&header(&[(0x0b, 32)]));
    refused(&header(&[(SHA384, 32)]));
    refused(&header(&[(SHA384, 48), (0x0b, 32)]));
    let honest = start();
    // Kind of the event, length of its data, signature, version.
    for at in [4, 28, 32, 47, 53] {
        let mut raw = honest.clone();
        raw[at] ^= 1;
        refused(&raw);
    }
    for len in 0..honest.len() {
        refused(&honest[..len]);
    }
}

#[test]
fn other_events() {
    for index in [0, 5, u32::MAX] {
        let raw = log(&[event(index, 4, 1, b"")]);
        assert_eq!(
            EventLog::parse(&raw),
            Err(EventLogError::Register(1, index))
        );
    }
    let start = start().len();
    let honest = log(&[event(1, 4, 1, b"data")]);
    // Number and kind of digests.
    for at in [8, 12] {
        let mut raw = honest.clone();
        raw[start + at] ^= 4;
        assert_eq!(EventLog::parse(&raw), Err(EventLogError::Digests(1)));
    }
    for len in start + 1..honest.len() {
        let parsed = EventLog::parse(&honest[..len]);
        // A few zeros of a number read as filling only if nothing else is there.
        assert!(parsed.is_err(), "{len}");
    }
    let mut raw = honest;
    raw[start + 62] = 0xff;
    assert_eq!(EventLog::parse(&raw), Err(EventLogError::Truncated(1)));
}

#[test]
fn caps_on_events_and_bytes() {
    let many = |events| log(&vec![event(1, 4, 1, b""); events]);
    let most = many(MAX_EVENTS);
    assert_eq!(EventLog::parse(&most).unwrap().events().len(), MAX_EVENTS);
    assert_eq!(
        EventLog::parse(&many(MAX_EVENTS + 1)),
        Err(EventLogError::TooMany)
    );
    let unmeasured = log(&vec![event(1, NO_ACTION, 1, b""); MAX_EVENTS + 1]);
    assert_eq!(EventLog::parse(&unmeasured), Err(EventLogError::TooMany));
    let hundred_thousand = many(100_000);
    let began = Instant::now();
    assert_eq!(
        EventLog::parse(&hundred_thousand),
        Err(EventLogError::TooLong(hundred_thousand.len()))
    );
    EventLog::parse(&most).unwrap();
    // 8 ms on the machine that this was written on.
    assert!(began.elapsed() < Duration::from_millis(50));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = EventLog::parse(&bytes);
        let _ = EventLog::parse(&[start(), bytes].concat());
    }

    #[test]
    fn damaged_logs_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut raw = log(&[event(1, 4, 1, b"data"), event(3, 6, 2, b"more")]);
        let at = at.index(raw.len());
        raw[at] = with;
        let _ = EventLog::parse(&raw);
    }
}
