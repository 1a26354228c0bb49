//! Sessions against an enclave played by this file, over real QUIC: an honest one, and a host that
//! bends every message it can.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::net::Ipv4Addr;
use std::time::Duration;

use arrow::array::Int64Array;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use duckblind_lake::keys::KeyProvider;
use duckblind_protocol::coded::{Coded as _, Exit};
use duckblind_protocol::control::ControlMessage;
use duckblind_protocol::frames::{HEADER_LEN, Header, HostCode, HostSays, frame};
use duckblind_protocol::ids::{Digest, ResponseNonce, Ticket};
use duckblind_protocol::job_code::JobError;
use duckblind_protocol::open::open_order;
use duckblind_protocol::receipt::{JobReceipt, Outcome, SignedReceipt};
use duckblind_protocol::result_stream::{FinalStatus, ResultSealer, Transcript};
use duckblind_protocol::sealed_job::SealedJob;
use duckblind_protocol::status::StatusMessage;
use ed25519_dalek::SigningKey;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, RecvStream, SendStream};

use super::*;
use crate::client::decode::Event;
use crate::client::job::{Finished, Unfinished};
use crate::client::request::LimitsWanted;
use crate::client::transport::{ALPN, transport_config};
use crate::testing::{Scene, kem, signing_key};

type Frames = Vec<(Kind, Vec<u8>)>;
type Bend = (&'static str, fn(&mut Frames));

/// What the played enclave and its host do.
struct Play {
    scene: Scene,
    /// Signs tickets, acceptances and receipts; the attested one if honest.
    instance: SigningKey,
    /// The key statement that tickets name.
    statement: Digest,
    /// Answers the hello or the job in place of the enclave.
    instead_of_ticket: Option<(Kind, Vec<u8>)>,
    refuse: Option<(JobCode, bool)>,
    status: FinalStatus,
    receipt: fn(&mut JobReceipt),
    /// What the host makes of the frames after `accepted`.
    host: fn(&mut Frames),
    /// Waits for a cancel instead of answering.
    hold: bool,
}

impl Play {
    fn honest() -> Self {
        let scene = Scene::good();
        Self {
            instance: scene.instance.clone(),
            statement: scene.statement().digest(),
            scene,
            instead_of_ticket: None,
            refuse: None,
            status: FinalStatus::Ok { rows: 300 },
            receipt: |_| {},
            host: |_| {},
            hold: false,
        }
    }
}

async fn read_frame(receive: &mut RecvStream) -> Option<(Kind, Vec<u8>)> {
    let mut header = [0; HEADER_LEN];
    receive.read_exact(&mut header).await.ok()?;
    let header = Header::parse(header).unwrap();
    let mut payload = vec![0; header.len];
    receive.read_exact(&mut payload).await.ok()?;
    Some((header.kind, payload))
}

fn arrow_stream() -> Vec<u8> {
    let column = std::sync::Arc::new(Int64Array::from_iter_values(0..100)) as _;
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for _ in 0..3 {
        writer.write(&batch).unwrap();
    }
    writer.into_inner().unwrap()
}

async fn serve(play: &Play, mut send: SendStream, mut receive: RecvStream) -> Option<()> {
    let (kind, _) = read_frame(&mut receive).await?;
    assert_eq!(kind, Kind::Hello);
    if let Some((kind, payload)) = &play.instead_of_ticket {
        send.write_all(&frame(*kind, payload)).await.ok()?;
        return Some(());
    }
    let ticket = Ticket::from_bytes([7; 16]);
    let reply = TicketReply::sign(&play.instance, ticket, play.statement, 1000);
    send.write_all(&frame(Kind::Ticket, &reply.encode()))
        .await
        .ok()?;

    let (kind, payload) = read_frame(&mut receive).await?;
    assert_eq!(kind, Kind::Job);
    let sealed = SealedJob::decode(&payload).unwrap();
    if let Some((code, signed)) = play.refuse {
        let key = if signed {
            play.instance.clone()
        } else {
            signing_key(99)
        };
        let refused = Refused::sign(&key, Some(sealed.enc_digest()), code, Some(70));
        send.write_all(&frame(Kind::Refused, &refused.encode()))
            .await
            .ok()?;
        return Some(());
    }
    let statement = play.scene.statement().digest();
    let opened = open_order(kem(), &statement, &sealed).unwrap();
    assert_eq!(opened.order.ticket, ticket);
    let nonce = ResponseNonce::random().unwrap();
    let accepted = Accepted::sign(
        &play.instance,
        opened.order.job,
        opened.enc_digest,
        statement,
        nonce,
    );
    send.write_all(&frame(Kind::Accepted, &accepted.encode()))
        .await
        .ok()?;

    let mut status = opened.status(&nonce).unwrap();
    let mut frames: Frames = Vec::new();
    let mut sealer =
        ResultSealer::new(&opened.result_key(&nonce).unwrap(), &opened.order.job).unwrap();
    let mut outcome = Outcome::Ok;
    if play.hold {
        let mut control = opened.control().unwrap();
        loop {
            let (kind, payload) = read_frame(&mut receive).await?;
            assert_eq!(kind, Kind::Control);
            if control.open(payload).unwrap() == ControlMessage::Cancel {
                break;
            }
        }
        outcome = Outcome::Failed(JobCode::Cancelled);
        let failed = StatusMessage::Failed(JobError::of(JobCode::Cancelled));
        frames.push((Kind::Status, status.seal(&failed).unwrap()));
    } else {
        for part in arrow_stream().chunks(1000) {
            let mut chunk = part.to_vec();
            sealer.seal_data(&mut chunk).unwrap();
            frames.push((Kind::Chunk, chunk));
        }
        frames.push((Kind::Chunk, sealer.finish(play.status.clone()).unwrap()));
    }
    let mut transcript = Transcript::new();
    let (mut chunks, mut bytes) = (0, 0);
    for (_, chunk) in frames.iter().filter(|(kind, _)| *kind == Kind::Chunk) {
        transcript.update(chunk);
        chunks += 1;
        bytes += chunk.len() as u64;
    }
    let mut receipt = JobReceipt {
        v: 1,
        job: opened.order.job,
        key_statement: statement,
        order: opened.order_digest,
        manifests: opened.order.inputs.iter().map(|i| i.manifest).collect(),
        outcome,
        chunks,
        bytes,
        transcript: transcript.finish(),
        accepted_ms: 1,
        ended_ms: 2,
        sim: true,
    };
    (play.receipt)(&mut receipt);
    let signed = SignedReceipt::sign(&play.instance, &receipt).encode();
    let message = StatusMessage::Receipt(signed.into());
    frames.push((Kind::Status, status.seal(&message).unwrap()));
    (play.host)(&mut frames);
    for (kind, payload) in frames {
        send.write_all(&frame(kind, &payload)).await.ok()?;
    }
    send.finish().ok()?;
    // Until the requester is done with it.
    let _ = send.stopped().await;
    Some(())
}

fn server(identity: &Identity) -> (Endpoint, SocketAddr) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate()], identity.key())
        .unwrap();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config =
        quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let mut transport = transport_config();
    transport.max_concurrent_bidi_streams(16_u32.into());
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

struct Stage {
    session: Session,
    _server: Endpoint,
    _dir: tempfile::TempDir,
}

/// A session that is attested already, with the play behind it. Its verifier does not answer.
async fn stage(play: Play) -> Stage {
    let host = Identity::of(&signing_key(50)).unwrap();
    let (endpoint, address) = server(&host);
    let dir = tempfile::tempdir().unwrap();
    let trust = play.scene.trust(dir.path(), true);
    let attested = play.scene.presented().admit(&trust).unwrap();
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        let connection = accepting.accept().await.unwrap().await.unwrap();
        while let Ok((send, receive)) = connection.accept_bi().await {
            serve(&play, send, receive).await;
        }
    });
    let identity = Arc::new(Identity::of(&signing_key(51)).unwrap());
    let transport = Transport::new(Arc::clone(&identity), address).unwrap();
    let (connection, node) = transport
        .connect(address, Some(*host.node()))
        .await
        .unwrap();
    let options = ConnectOptions {
        identity,
        order_key: signing_key(52),
        target: Target::Any,
        fresh: false,
    };
    let verifier = VerifierClient::new(trust.verifier()).unwrap();
    let found = Found {
        transport,
        connection,
        node,
        address,
        attested,
    };
    Stage {
        session: Session::with(&trust, verifier, options, found),
        _server: endpoint,
        _dir: dir,
    }
}

fn request() -> JobRequest {
    JobRequest::new(
        "select n\nfrom t".into(),
        &[],
        &KeyProvider::new(None),
        LimitsWanted::default(),
    )
    .unwrap()
}

async fn outcome(play: Play) -> Result<(u64, Finished), Unfinished> {
    let stage = stage(play).await;
    let mut job = stage.session.run(&request()).await.unwrap();
    let mut rows = 0;
    while let Some(event) = job.next().await {
        if let Event::Batch(batch) = event {
            rows += batch.num_rows() as u64;
        }
    }
    job.finish().await.map(|finished| (rows, finished))
}

async fn refused(play: Play) -> RequesterError {
    let stage = stage(play).await;
    stage.session.run(&request()).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_job_and_a_second_one_on_the_same_connection() {
    let stage = stage(Play::honest()).await;
    for _ in 0..2 {
        let mut job = stage.session.run(&request()).await.unwrap();
        let mut schemas = 0;
        while let Some(event) = job.next().await {
            schemas += usize::from(matches!(event, Event::Schema(_)));
        }
        assert_eq!(schemas, 1);
        let finished = job.finish().await.unwrap();
        assert_eq!(finished.rows, 300);
        assert_eq!(finished.receipt.outcome, Outcome::Ok);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bent_stream_is_refused() {
    let bends: [Bend; 11] = [
        ("a flipped byte", |f| f[1].1[10] ^= 1),
        ("a dropped chunk", |f| {
            f.remove(1);
        }),
        ("a repeated chunk", |f| {
            let again = f[1].clone();
            f.insert(1, again);
        }),
        ("two chunks swapped", |f| f.swap(0, 1)),
        ("no final chunk", |f| {
            f.remove(f.len() - 2);
        }),
        ("cut after the first chunk", |f| f.truncate(1)),
        ("cut before the receipt", |f| {
            f.pop();
        }),
        ("a flipped receipt", |f| f.last_mut().unwrap().1[20] ^= 1),
        ("the receipt first", |f| {
            let receipt = f.pop().unwrap();
            f.insert(0, receipt);
        }),
        ("a frame that does not belong here", |f| {
            f.insert(1, (Kind::Ticket, vec![0; 8]));
        }),
        ("the host's word in between", |f| {
            let says = HostSays::new(HostCode::Busy, None).encode();
            f.insert(1, (Kind::HostSays, says));
        }),
    ];
    for (what, host) in bends {
        let ended = outcome(Play {
            host,
            ..Play::honest()
        })
        .await;
        let unfinished = ended.err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert_eq!(unfinished.exit(), Exit::Rejected, "{what}: {unfinished}");
        assert!(
            unfinished.to_string().starts_with("output incomplete"),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_receipt_counts() {
    let lies: [fn(&mut JobReceipt); 8] = [
        |r| r.job = JobId::from_bytes([1; 16]),
        |r| r.key_statement = Digest::of(b"x"),
        |r| r.order = Digest::of(b"x"),
        |r| r.manifests.push(Digest::of(b"x")),
        |r| r.chunks += 1,
        |r| r.bytes += 1,
        |r| r.transcript = Digest::of(b"x"),
        |r| r.sim = false,
    ];
    for (at, receipt) in lies.into_iter().enumerate() {
        let ended = outcome(Play {
            receipt,
            ..Play::honest()
        })
        .await;
        assert_eq!(ended.err().unwrap().code(), "DB-REQ-061", "field {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_chunk_that_counts_wrong_is_refused() {
    let ended = outcome(Play {
        status: FinalStatus::Ok { rows: 301 },
        ..Play::honest()
    })
    .await;
    assert_eq!(ended.err().unwrap().code(), "DB-REQ-061");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_error_tells_its_place_and_has_a_receipt() {
    let error = JobError::new(JobCode::SqlUnknownTable, "no table t").at(Some(14));
    let unfinished = outcome(Play {
        status: FinalStatus::Failed(error),
        ..Play::honest()
    })
    .await
    .err()
    .unwrap();
    assert_eq!(unfinished.code(), "DB-JOB-033");
    assert_eq!(unfinished.exit(), Exit::Malformed);
    assert_eq!(unfinished.to_string(), "no table t (line 2, column 6)");
    assert!(unfinished.receipt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_with_the_enclaves_word() {
    let stage = stage(Play {
        hold: true,
        ..Play::honest()
    })
    .await;
    let job = stage.session.run(&request()).await.unwrap();
    let canceller = job.canceller();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        canceller.cancel();
    });
    let unfinished = job.finish().await.err().unwrap();
    assert_eq!(unfinished.exit(), Exit::Cancelled);
    assert!(unfinished.receipt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_does_not_hold_us() {
    let mut play = Play::honest();
    play.scene.config.timeouts.keepalive_ms = 300;
    play.statement = play.scene.statement().digest();
    play.hold = true;
    let begun = std::time::Instant::now();
    let unfinished = outcome(play).await.err().unwrap();
    assert_eq!(unfinished.exit(), Exit::Rejected);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_refusals_are_believed_unsigned_ones_are_not() {
    let busy = refused(Play {
        refuse: Some((JobCode::Busy, true)),
        ..Play::honest()
    })
    .await;
    assert_eq!((busy.code(), busy.exit()), ("DB-JOB-001", Exit::Busy));
    assert_eq!(busy.retry_after_ms(), Some(70));
    let forged = refused(Play {
        refuse: Some((JobCode::Busy, false)),
        ..Play::honest()
    })
    .await;
    assert_eq!(
        (forged.code(), forged.exit()),
        ("DB-REQ-053", Exit::Rejected)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_busy_changes_only_the_pause() {
    let says = HostSays::new(HostCode::Busy, Some(500)).encode();
    let error = refused(Play {
        instead_of_ticket: Some((Kind::HostSays, says)),
        ..Play::honest()
    })
    .await;
    assert_eq!((error.code(), error.exit()), ("DB-REQ-054", Exit::Busy));
    assert_eq!(error.retry_after_ms(), Some(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appraised_key_is_used_into_the_next_epoch() {
    // The verifier of this stage does not answer: an appraisal would fail.
    let mut play = Play::honest();
    play.statement = Digest::of(b"next epoch");
    let (rows, finished) = outcome(play).await.unwrap();
    assert_eq!((rows, finished.receipt.outcome), (300, Outcome::Ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_leads_back_to_the_verifier() {
    // Another instance, a stale job: each asks for a new appraisal, and the verifier of this stage
    // does not answer.
    let mut instance = Play::honest();
    instance.instance = signing_key(77);
    let stale = Play {
        refuse: Some((JobCode::StaleKey, true)),
        ..Play::honest()
    };
    for play in [instance, stale] {
        let error = refused(play).await;
        assert_eq!(
            (error.code(), error.exit()),
            ("DB-REQ-040", Exit::Unreachable)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_is_not_spoken_to() {
    let (endpoint, address) = server(&Identity::of(&signing_key(50)).unwrap());
    let identity = Arc::new(Identity::of(&signing_key(51)).unwrap());
    let transport = Transport::new(Arc::clone(&identity), address).unwrap();
    let other = *Identity::of(&signing_key(60)).unwrap().node();
    let accepting = endpoint.clone();
    tokio::spawn(async move { accepting.accept().await.unwrap().await });
    let error = transport.connect(address, Some(other)).await.err().unwrap();
    assert_eq!((error.code(), error.exit()), ("DB-REQ-049", Exit::Rejected));
}
