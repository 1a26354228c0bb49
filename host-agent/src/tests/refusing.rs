//! What does not pass, and what the peer is told.

use std::time::{Duration, Instant};

use duckblind_protocol::frames::{HEADER_LEN, Header, HostCode, Kind, frame};
use duckblind_protocol::ids::Nonce;
use tokio::io::AsyncWriteExt as _;

use super::rig::{
    PATIENCE, Rig, Session, challenge, eventually, greeted, host_said, host_says, opened, read_all,
    read_frame, was_closed, was_reset,
};
use crate::node_key::NodeKey;
use crate::peers::PeerPolicy;
use crate::says::error_code;

#[tokio::test]
async fn only_a_requesters_kinds_reach_the_enclave() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let strangers = Kind::ALL.into_iter().filter(|kind| !kind.from_requester());
    let mut refused = 0;
    for byte in strangers.map(|kind| kind as u8).chain([0, 6, 33, 255]) {
        let (send, mut recv) = opened(&connection, &[byte, 0, 0, 0, 0]).await;
        assert_eq!(
            host_says(&mut recv).await,
            HostCode::NotAllowed,
            "kind {byte}"
        );
        // What follows is not read either.
        let stopped = tokio::time::timeout(PATIENCE, send.stopped())
            .await
            .unwrap();
        assert_eq!(stopped.unwrap(), Some(error_code(HostCode::NotAllowed)));
        refused += 1;
    }
    assert_eq!(rig.metrics.refusals(HostCode::NotAllowed), refused);
    let dialled = rig.enclave.as_ref().unwrap().accept();
    let dialled = tokio::time::timeout(Duration::from_millis(50), dialled).await;
    assert!(dialled.is_err(), "the enclave was bothered");
}

#[tokio::test]
async fn a_watch_in_the_middle_of_a_session_does_not_pass() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let sent = [frame(Kind::Hello, b"hi"), frame(Kind::Watch, &[])].concat();
    send.write_all(&sent).await.unwrap();
    let mut enclave = rig.dialled().await;
    assert_eq!(read_all(&mut enclave).await, frame(Kind::Hello, b"hi"));
    assert_eq!(host_says(&mut recv).await, HostCode::NotAllowed);
}

#[tokio::test]
async fn no_word_of_the_host_inside_a_frame_of_the_enclave() {
    let rig = Rig::start(|_| {});
    let Session {
        mut send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    let chunk = frame(Kind::Chunk, &[7; 1000]);
    enclave.write_all(&chunk[..600]).await.unwrap();
    let mut half = vec![0; 600];
    recv.read_exact(&mut half).await.unwrap();
    assert_eq!(half, chunk[..600]);
    send.write_all(&frame(Kind::Watch, &[])).await.unwrap();
    let cut = recv.read_to_end(1000).await;
    assert!(was_reset(&cut, error_code(HostCode::NotAllowed)), "{cut:?}");
}

#[tokio::test]
async fn oversized_frames_are_refused_by_their_header() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    for kind in [Kind::Hello, Kind::Challenge, Kind::Job, Kind::Control] {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let header = Header {
            kind,
            len: kind.max_len() + 1,
        };
        send.write_all(&header.to_bytes()).await.unwrap();
        assert_eq!(host_says(&mut recv).await, HostCode::TooLarge, "{kind:?}");
    }
    assert_eq!(rig.metrics.refusals(HostCode::TooLarge), 4);
}

#[tokio::test]
async fn unlisted_peers_do_not_get_through_the_handshake() {
    let friend = NodeKey::generate().unwrap();
    let listed = PeerPolicy::Allow([friend.node()].into());
    let rig = Rig::start(|config| config.peers = listed);
    let refused = rig.connect(&NodeKey::generate().unwrap()).await;
    assert!(
        matches!(&refused, Err(quinn::ConnectionError::ConnectionClosed(_))),
        "{refused:?}"
    );
    eventually("the failure is counted", || {
        rig.metrics.handshakes_failed.value() == 1
    })
    .await;
    assert_eq!(rig.metrics.connections_total.value(), 0);
    assert!(rig.connect(&friend).await.is_ok());
}

#[tokio::test]
async fn streams_beyond_a_peers_limit_are_told_so() {
    let rig = Rig::start(|config| config.limits.streams_per_peer = 2);
    let key = NodeKey::generate().unwrap();
    // The limit is the key's, however many connections it has.
    let (one, two) = (
        rig.connect(&key).await.unwrap(),
        rig.connect(&key).await.unwrap(),
    );
    let mut open = Vec::new();
    for connection in [&one, &two] {
        let (send, recv) = greeted(connection).await;
        open.push((send, recv, rig.dialled().await));
    }
    let (_send, mut recv) = greeted(&one).await;
    assert_eq!(host_says(&mut recv).await, HostCode::Limit);
    // Another key is not affected, and an ended stream makes room.
    let other = rig.connect_anew().await;
    let (_send, _recv) = greeted(&other).await;
    drop(rig.dialled().await);
    open.clear();
    eventually("streams end", || rig.metrics.streams.value() == 0).await;
    let (_send, _recv) = opened(&two, &frame(Kind::Hello, b"again")).await;
    assert_eq!(read_frame(&mut rig.dialled().await).await.1, b"again");
}

#[tokio::test]
async fn streams_beyond_the_hosts_limit_are_told_to_come_back() {
    let rig = Rig::start(|config| config.limits.streams = 1);
    let (one, two) = (rig.connect_anew().await, rig.connect_anew().await);
    let (_send, _recv) = greeted(&one).await;
    let _enclave = rig.dialled().await;
    let (_send, mut recv) = greeted(&two).await;
    assert_eq!(host_says(&mut recv).await, HostCode::Busy);
}

#[tokio::test]
async fn connections_have_limits_too() {
    let rig = Rig::start(|config| {
        config.limits.connections_per_peer = 1;
        config.limits.connections_per_address = 3;
    });
    let key = NodeKey::generate().unwrap();
    let _first = rig.connect(&key).await.unwrap();
    let second = rig.connect(&key).await;
    let code = error_code(HostCode::Limit);
    assert!(
        matches!(
            &second,
            Err(quinn::ConnectionError::ApplicationClosed(close)) if close.error_code == code
        ),
        "{second:?}"
    );
    eventually("the second is gone", || {
        rig.metrics.connections.value() == 1
    })
    .await;
    let (_a, _b) = (rig.connect_anew().await, rig.connect_anew().await);
    let fourth = rig.connect(&NodeKey::generate().unwrap()).await;
    assert!(
        matches!(&fourth, Err(quinn::ConnectionError::ConnectionClosed(_))),
        "{fourth:?}"
    );
}

#[tokio::test]
async fn a_missing_enclave_is_said() {
    let mut rig = Rig::start(|_| {});
    rig.enclave = None;
    let connection = rig.connect_anew().await;
    let (_send, mut recv) = greeted(&connection).await;
    assert_eq!(host_says(&mut recv).await, HostCode::EnclaveDown);
    assert_eq!(rig.metrics.refusals(HostCode::EnclaveDown), 1);
}

#[tokio::test]
async fn an_enclave_that_closes_without_a_word_is_down() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let (_send, mut recv) = greeted(&connection).await;
    drop(rig.dialled().await);
    assert_eq!(host_says(&mut recv).await, HostCode::EnclaveDown);
}

#[tokio::test]
async fn a_stream_that_dawdles_before_its_first_frame_is_closed() {
    let rig = Rig::start(|config| config.timeouts.first_frame = Duration::from_millis(200));
    let connection = rig.connect_anew().await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let began = Instant::now();
    // A byte now and then must not buy more time.
    let drip = async {
        for byte in frame(Kind::Hello, &[0; 4000]) {
            if send.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), code) = tokio::join!(drip, host_says(&mut recv));
    assert_eq!(code, HostCode::Idle);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_later_frame_that_dawdles_is_closed() {
    let rig = Rig::start(|config| config.timeouts.frame = Duration::from_millis(200));
    let Session {
        mut send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    read_frame(&mut enclave).await;
    // Between frames there is time.
    tokio::time::sleep(Duration::from_millis(400)).await;
    send.write_all(&frame(Kind::Job, &[0; 100])[..50])
        .await
        .unwrap();
    assert_eq!(host_says(&mut recv).await, HostCode::Idle);
    // The enclave sees the end of its input, not the rest of a frame.
    assert_eq!(read_all(&mut enclave).await.len(), 50);
}

#[tokio::test]
async fn a_silent_session_is_closed() {
    let rig = Rig::start(|config| config.timeouts.idle = Duration::from_millis(300));
    let connection = rig.connect_anew().await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let began = Instant::now();
    send.write_all(&frame(Kind::Hello, b"")).await.unwrap();
    let mut enclave = rig.dialled().await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        enclave.write_all(&frame(Kind::Status, b"")).await.unwrap();
        read_frame(&mut recv).await;
    }
    assert_eq!(host_says(&mut recv).await, HostCode::Idle);
    assert!(began.elapsed() >= Duration::from_millis(800));
}

#[tokio::test]
async fn a_requester_that_takes_nothing_is_cut_off() {
    let rig = Rig::start(|config| config.timeouts.stall = Duration::from_millis(300));
    let Session {
        send: _send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    let chunk = frame(Kind::Chunk, &vec![1; Kind::Chunk.max_len()]);
    let flood = async { while enclave.write_all(&chunk).await.is_ok() {} };
    // Ends because the agent closes its side; with no end this would run for ever.
    tokio::time::timeout(Duration::from_secs(20), flood)
        .await
        .unwrap();
    assert_eq!(rig.metrics.refusals(HostCode::Idle), 1);
    let cut = recv.read_to_end(1 << 30).await;
    assert!(matches!(
        cut,
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(_)))
    ));
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let rig = Rig::start(|config| config.timeouts.connection_idle = Duration::from_millis(150));
    let connection = rig.connect_anew().await;
    let closed = tokio::time::timeout(PATIENCE, connection.closed())
        .await
        .unwrap();
    assert!(
        was_closed(&closed, error_code(HostCode::Idle)),
        "{closed:?}"
    );
}

#[tokio::test]
async fn a_challenge_without_a_requesters_part_is_the_hosts_alone() {
    let rig = Rig::start(|_| {});
    let connection = rig.connect_anew().await;
    let own = Some(Nonce::from_bytes([2; 32]));
    // With it, another node could attest with this node's enclave.
    let cut = challenge(own);
    let damaged = frame(Kind::Challenge, &cut[HEADER_LEN..cut.len() - 1]);
    for refused in [challenge(None), damaged, frame(Kind::Challenge, b"")] {
        let (_send, mut recv) = opened(&connection, &refused).await;
        assert_eq!(host_says(&mut recv).await, HostCode::NotAllowed);
    }
    // Nor later in a session.
    let (mut send, mut recv) = greeted(&connection).await;
    let mut enclave = rig.dialled().await;
    send.write_all(&challenge(None)).await.unwrap();
    assert_eq!(host_says(&mut recv).await, HostCode::NotAllowed);
    assert_eq!(read_all(&mut enclave).await, frame(Kind::Hello, b""));

    let (_send, _recv) = opened(&connection, &challenge(own)).await;
    let (kind, payload) = read_frame(&mut rig.dialled().await).await;
    assert_eq!(frame(kind, &payload), challenge(own));
}

#[tokio::test]
async fn a_challenge_that_comes_in_pieces_passes_whole_or_runs_out_of_time() {
    let rig = Rig::start(|config| config.timeouts.frame = Duration::from_millis(300));
    let Session {
        mut send,
        mut recv,
        mut enclave,
    } = rig.session().await;
    read_frame(&mut enclave).await;
    let whole = challenge(Some(Nonce::from_bytes([2; 32])));
    for piece in whole.chunks(30) {
        send.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(read_frame(&mut enclave).await.0, Kind::Challenge);
    send.write_all(&whole[..50]).await.unwrap();
    assert_eq!(host_says(&mut recv).await, HostCode::Idle);
    assert!(read_all(&mut enclave).await.is_empty());
}

#[tokio::test]
async fn challenges_beyond_a_peers_rate_are_told_when_to_come_back() {
    let rig = Rig::start(|config| {
        config.limits.challenges_per_minute_per_peer = 2;
        config.limits.challenges_per_minute_per_address = 3;
    });
    let key = NodeKey::generate().unwrap();
    let own = challenge(Some(Nonce::from_bytes([2; 32])));
    // The rate is the key's, however many connections it has, and one stream can use it up.
    let one = rig.connect(&key).await.unwrap();
    let (_send, mut recv) = opened(&one, &[&own[..], &own, &own].concat()).await;
    let mut enclave = rig.dialled().await;
    assert_eq!(read_all(&mut enclave).await, [&own[..], &own].concat());
    assert_eq!(host_said(&mut recv).await.code, HostCode::Limit);
    let two = rig.connect(&key).await.unwrap();
    let (_send, mut recv) = opened(&two, &own).await;
    let said = host_said(&mut recv).await;
    assert_eq!(said.code, HostCode::Limit);
    let wait = said.retry_after_ms.unwrap();
    assert!((5_000..=30_001).contains(&wait), "{wait}");
    assert_eq!(rig.metrics.refusals(HostCode::Limit), 2);

    // Everything else of the peer goes on, and another key has a rate of its own, until the
    // address has had its share.
    drop(greeted(&two).await);
    drop(rig.dialled().await);
    let other = rig.connect_anew().await;
    let (_send, _recv) = opened(&other, &own).await;
    assert_eq!(
        read_frame(&mut rig.dialled().await).await.0,
        Kind::Challenge
    );
    let third = rig.connect_anew().await;
    let (_send, mut recv) = opened(&third, &own).await;
    assert_eq!(host_says(&mut recv).await, HostCode::Limit);
    let dialled = rig.enclave.as_ref().unwrap().accept();
    let dialled = tokio::time::timeout(Duration::from_millis(50), dialled).await;
    assert!(dialled.is_err(), "the enclave was bothered");
}
