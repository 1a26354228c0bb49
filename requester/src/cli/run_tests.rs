//! Real signals, sent to this process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;

use clap::Parser as _;
use duckblind_protocol::coded::Exit;
use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::cli::{Cli, Command};
use crate::testing::Scene;

/// A directory with a trust file, keys and a place for results.
struct Place {
    dir: tempfile::TempDir,
    /// Takes connections and never answers.
    verifier: TcpListener,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let verifier = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", verifier.local_addr().unwrap());
        let trust = Scene::good().trust_text(dir.path(), true, &url);
        std::fs::write(dir.path().join("trust.toml"), trust).unwrap();
        duckblind_lake::keys::KeyFile::load_or_empty(&dir.path().join("keys.json"))
            .and_then(|file| file.save())
            .unwrap();
        duckblind_lake::keys::OwnerKey::generate()
            .and_then(|key| key.save_new(&dir.path().join("owner.key")))
            .unwrap();
        std::fs::create_dir(dir.path().join("results")).unwrap();
        Self { dir, verifier }
    }

    fn own(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Files in the place for results.
    fn results(&self) -> usize {
        std::fs::read_dir(self.own("results")).map_or(0, Iterator::count)
    }

    async fn run(&self, more: &[&str]) -> Result<(), Failure> {
        let own = [
            "--key-file",
            &self.own("keys.json"),
            "--owner-key",
            &self.own("owner.key"),
            "--identity",
            &self.own("identity.key"),
        ];
        let all = [&["duckblind", "run", "select 1"], more, &own].concat();
        let Command::Run(args) = Cli::try_parse_from(all).unwrap().command else {
            panic!("another command");
        };
        let trust = self.dir.path().join("trust.toml");
        run(&Ui::new(false, true), Some(&trust), *args).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signal_leaves_a_part_of_a_result() {
    let place = Place::new();
    let (csv, receipt) = (place.own("results/a.csv"), place.own("results/a.receipt"));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let send = async {
            while place.results() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            kill_process(getpid(), signal).unwrap();
        };
        let arguments = ["--output", &csv, "--receipt", &receipt];
        let both = async { tokio::join!(place.run(&arguments), send) };
        let (ended, ()) = tokio::time::timeout(Duration::from_secs(15), both)
            .await
            .unwrap();
        assert_eq!(ended.err().unwrap().exit(), Exit::Cancelled, "{signal:?}");
        assert_eq!(place.results(), 0, "{signal:?}");
    }
}

#[tokio::test]
async fn places_that_cannot_be_written_are_refused_before_anything_is_dialled() {
    let place = Place::new();
    let csv = place.own("results/a.csv");
    for (arguments, code) in [
        (&["-o", &place.own("nodir/a.csv")][..], "DB-REQ-007"),
        (
            &["-o", &csv, "--receipt", &place.own("nodir/a.receipt")],
            "DB-REQ-007",
        ),
        (
            &["-o", &csv, "--receipt", &place.own("results")],
            "DB-REQ-008",
        ),
        (&["-o", &csv, "--receipt", &csv], "DB-REQ-090"),
    ] {
        let failure = place.run(arguments).await.err().unwrap();
        assert_eq!(failure.coded().code(), code, "{arguments:?}");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.coded().hint().is_some());
        assert_eq!(place.results(), 0);
    }
    assert!(!place.dir.path().join("nodir").exists());
    place.verifier.set_nonblocking(true).unwrap();
    let dialled = place.verifier.accept();
    assert_eq!(
        dialled.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "the verifier was asked"
    );
}
