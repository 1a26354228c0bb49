//! Real signals, sent to this process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;

use clap::Parser as _;
use duckblind_protocol::coded::Exit;
use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::cli::{Cli, Command};
use crate::testing::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signal_leaves_a_part_of_a_result() {
    let dir = tempfile::tempdir().unwrap();
    // Takes connections and never answers.
    let verifier = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", verifier.local_addr().unwrap());
    let trust = dir.path().join("trust.toml");
    std::fs::write(&trust, Scene::good().trust_text(dir.path(), true, &url)).unwrap();
    let own = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let results = dir.path().join("results");
    duckblind_lake::keys::KeyFile::load_or_empty(&dir.path().join("keys.json"))
        .and_then(|file| file.save())
        .unwrap();
    duckblind_lake::keys::OwnerKey::generate()
        .and_then(|key| key.save_new(&dir.path().join("owner.key")))
        .unwrap();
    let files = || std::fs::read_dir(&results).map_or(0, Iterator::count);
    let ui = Ui::new(false, true);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let cli = Cli::try_parse_from([
            "duckblind",
            "run",
            "select 1",
            "--output",
            results.join("a.csv").to_str().unwrap(),
            "--key-file",
            &own("keys.json"),
            "--owner-key",
            &own("owner.key"),
            "--identity",
            &own("identity.key"),
        ])
        .unwrap();
        let Command::Run(args) = cli.command else {
            panic!("another command");
        };
        let send = async {
            while files() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            kill_process(getpid(), signal).unwrap();
        };
        let both = async { tokio::join!(run(&ui, Some(&trust), *args), send) };
        let (ended, ()) = tokio::time::timeout(Duration::from_secs(15), both)
            .await
            .unwrap();
        assert_eq!(ended.err().unwrap().exit(), Exit::Cancelled, "{signal:?}");
        assert_eq!(files(), 0, "{signal:?}");
    }
}
