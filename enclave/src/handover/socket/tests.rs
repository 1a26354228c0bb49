//! Both ends, over a real pair.

use std::io::{Read as _, Write as _};

use duckblind_protocol::ids::{Digest, JobId};
use duckblind_protocol::order::{Limits, OrderFile, OrderInput, Provider};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::*;

fn pair() -> (SupervisorEnd, ProcessEnd) {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    (SupervisorEnd::new(ours).unwrap(), ProcessEnd::new(theirs))
}

fn header(files: usize) -> JobHeader {
    let file = |i: usize| OrderFile {
        path: format!("{i}.parquet"),
        size: 1,
    };
    JobHeader {
        job: JobId::from_bytes([1; 16]),
        enc: Digest::of(b"enc"),
        limits: Limits {
            wall_ms: 1,
            memory_bytes: 2,
            result_bytes: 3,
            threads: 4,
        },
        inputs: vec![OrderInput {
            name: "t".into(),
            provider: Provider::LocalFake,
            location: "t".into(),
            manifest: Digest::of(b"manifest"),
            snapshot: 0,
            files: (0..files).map(file).collect(),
        }],
    }
}

#[tokio::test]
async fn a_job_arrives_whole() {
    let (supervisor, mut process) = pair();
    let section: Vec<u8> = (0u8..=255).cycle().take(300_000).collect();
    let expected = section.clone();
    let receiver = std::thread::spawn(move || process.job().unwrap());
    let files: Vec<OwnedFd> = (0..450)
        .map(|i: u32| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&i.to_be_bytes()).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            file.into()
        })
        .collect();
    let mut keys = no_keys();
    keys.fill(9);
    supervisor
        .job(&header(450), &keys, &files, &section)
        .await
        .unwrap();
    let job = receiver.join().unwrap();
    assert_eq!(job.header, header(450));
    assert_eq!(job.section, expected);
    assert_eq!(job.keys.as_slice(), keys.as_slice());
    for (i, file) in (0u32..).zip(job.files) {
        let mut bytes = [0; 4];
        std::fs::File::from(file).read_exact(&mut bytes).unwrap();
        assert_eq!(u32::from_be_bytes(bytes), i);
    }
}

#[tokio::test]
async fn a_process_that_ends_is_noticed() {
    let (mut supervisor, process) = pair();
    assert!(supervisor.is_silent());
    drop(process);
    supervisor.broken().await;
    assert!(!supervisor.is_silent());
    assert!(matches!(supervisor.done().await, Err(ChannelError::Closed)));
}

#[tokio::test]
async fn a_message_out_of_turn_is_refused() {
    let (mut supervisor, process) = pair();
    process.done(Done { failure: None }).unwrap();
    assert!(matches!(
        supervisor.ready().await,
        Err(ChannelError::Unexpected)
    ));
    let (supervisor, mut process) = pair();
    let setup = Setup {
        threads: 1,
        memory_bytes: 1,
        spill: None,
    };
    supervisor.setup(&setup).await.unwrap();
    let receiver = std::thread::spawn(move || process.job().map(|_| ()));
    assert!(matches!(receiver.join(), Ok(Err(ChannelError::Unexpected))));
}
