//! What passes, passes unchanged.

use std::time::Duration;

use duckblind_protocol::frames::{HostCode, Kind, frame};
use duckblind_protocol::ids::Nonce;
use tokio::io::AsyncWriteExt as _;

use super::rig::{
    Rig, Session, challenge, eventually, greeted, host_says, opened, read_all, read_frame,
    was_closed, was_reset,
};
use crate::says::error_code;

#[tokio::test]
async fn frames_pass_unchanged_in_both_directions() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let job = [
        frame(Kind::Hello, b"hello"),
        challenge(Some(Nonce::from_bytes([2; 32]))),
        frame(Kind::Job, &vec![0xa5; Kind::Job.max_len()]),
        frame(Kind::Control, &[]),
    ]
    .concat();
    // More than any buffer on the way, so that reads and frames do not line up.
    let big: Vec<u8> = (0..Kind::Chunk.max_len())
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    let mut answer = frame(Kind::Accepted, b"yes");
    for _ in 0..24 {
        answer.extend(frame(Kind::Chunk, &big));
        answer.extend(frame(Kind::Status, b"alive"));
    }
    let enclave = async {
        let mut stream = rig.dialled().await;
        let mut got = Vec::new();
        while got.len() < job.len() {
            let (kind, payload) = read_frame(&mut stream).await;
            got.extend(frame(kind, &payload));
        }
        stream.write_all(&answer).await.unwrap();
        got
    };
    let client = async {
        send.write_all(&job).await.unwrap();
        read_all(&mut recv).await
    };
    let (got, answered) = tokio::join!(enclave, client);
    assert!(got == job, "the job came through changed");
    assert!(answered == answer, "the answer came through changed");
    eventually("the stream is counted out", || {
        rig.metrics.streams.value() == 0
    })
    .await;
    assert_eq!(rig.metrics.bytes_to_enclave.value(), job.len() as u64);
    assert_eq!(rig.metrics.bytes_from_enclave.value(), answer.len() as u64);
}

#[tokio::test]
async fn every_stream_gets_its_own_connection() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (_one, mut from_one) = opened(&connection, &frame(Kind::Hello, b"1")).await;
    let mut first = rig.dialled().await;
    let (_two, mut from_two) = opened(&connection, &frame(Kind::Hello, b"2")).await;
    let mut second = rig.dialled().await;
    assert_eq!(read_frame(&mut second).await.1, b"2");
    assert_eq!(read_frame(&mut first).await.1, b"1");
    second
        .write_all(&frame(Kind::Ticket, b"for 2"))
        .await
        .unwrap();
    first
        .write_all(&frame(Kind::Ticket, b"for 1"))
        .await
        .unwrap();
    assert_eq!(read_frame(&mut from_one).await.1, b"for 1");
    assert_eq!(read_frame(&mut from_two).await.1, b"for 2");
}

#[tokio::test]
async fn usage_stays_with_the_host() {
    let rig = Rig::start(|_| {});
    let Session {
        send: _send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    let answer = [
        frame(Kind::Status, b"receipt"),
        frame(Kind::Usage, b"what it cost"),
        frame(Kind::Status, b"bye"),
    ]
    .concat();
    enclave.write_all(&answer).await.unwrap();
    drop(enclave);
    let expected = [frame(Kind::Status, b"receipt"), frame(Kind::Status, b"bye")].concat();
    assert_eq!(read_all(&mut recv).await, expected);
    let log = rig.dir.path().join("usage.jsonl");
    let written = || std::fs::read_to_string(&log).unwrap();
    eventually("the record is written", || written().ends_with('\n')).await;
    let record: serde_json::Value = serde_json::from_str(&written()).unwrap();
    assert_eq!(record["signed"], "d2hhdCBpdCBjb3N0");
    assert_eq!(rig.metrics.usage_records.value(), 1);
}

#[tokio::test]
async fn usage_is_kept_although_the_requester_has_gone() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (_send, _recv) = greeted(&connection).await;
    let mut enclave = rig.dialled().await;
    read_frame(&mut enclave).await;
    connection.close(0_u32.into(), b"gone");
    // The enclave learns of it by the end of its input.
    assert!(read_all(&mut enclave).await.is_empty());
    enclave.write_all(&frame(Kind::Usage, b"x")).await.unwrap();
    drop(enclave);
    eventually("the record is counted", || {
        rig.metrics.usage_records.value() == 1
    })
    .await;
    eventually("the stream is counted out", || {
        rig.metrics.streams.value() == 0
    })
    .await;
}

#[tokio::test]
async fn half_a_frame_from_the_enclave_ends_in_a_reset() {
    let rig = Rig::start(|_| {});
    let Session {
        send: _send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    let chunk = frame(Kind::Chunk, &[7; 1000]);
    enclave.write_all(&chunk[..500]).await.unwrap();
    drop(enclave);
    let cut = recv.read_to_end(10_000).await;
    assert!(
        was_reset(&cut, error_code(HostCode::EnclaveDown)),
        "{cut:?}"
    );
}

#[tokio::test]
async fn a_frame_that_no_enclave_sends_is_not_passed_on() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    for kind in [Kind::HostSays, Kind::Epoch, Kind::Job] {
        let (_send, mut recv) = greeted(&connection).await;
        let mut enclave = rig.dialled().await;
        enclave.write_all(&frame(kind, b"")).await.unwrap();
        assert_eq!(
            host_says(&mut recv).await,
            HostCode::EnclaveDown,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn draining_lets_open_streams_end() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (_send, mut recv) = greeted(&connection).await;
    let mut enclave = rig.dialled().await;
    rig.stop.send(true).unwrap();
    let (_late, mut to_late) = greeted(&connection).await;
    assert_eq!(host_says(&mut to_late).await, HostCode::Draining);
    assert!(
        rig.connect(&crate::node_key::NodeKey::generate().unwrap())
            .await
            .is_err()
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!rig.front.is_finished());
    let answer = frame(Kind::Chunk, &vec![1; 100_000]);
    enclave.write_all(&answer).await.unwrap();
    drop(enclave);
    assert!(read_all(&mut recv).await == answer);
    tokio::time::timeout(super::rig::PATIENCE, rig.front)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn draining_has_an_end() {
    let rig = Rig::start(|config| config.timeouts.drain = Duration::from_millis(100));
    let connection = rig.connect_anew().await;
    let (_send, _recv) = greeted(&connection).await;
    let _enclave = rig.dialled().await;
    rig.stop.send(true).unwrap();
    tokio::time::timeout(super::rig::PATIENCE, rig.front)
        .await
        .unwrap()
        .unwrap();
    let closed = connection.closed().await;
    assert!(
        was_closed(&closed, error_code(HostCode::Draining)),
        "{closed:?}"
    );
}
