//! Files that are not what they should be: found out, removed, fetched anew.

use std::fs;

use duckblind_attestation::evidence::Endorsements;

use super::server::{Reply, Server};
use super::vectors::genoa;
use super::{directory, freshness, offline, online};
use crate::{Freshness, read_bundle, write_bundle};

#[tokio::test]
async fn damaged_files_are_fetched_anew() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    server.play(
        "/vcek/v1/Genoa/cert_chain",
        [Reply::ok(machine.cert_chain())],
    );
    server.play("/vcek/v1/Genoa/crl", [Reply::ok(machine.crl.clone())]);
    server.play(&machine.vek_path, [Reply::ok(machine.vek.clone())]);
    let directory = directory();
    let collateral = online(&server, directory.path());
    let nothing = Endorsements::default();
    let gather = || collateral.for_snp(&machine.report, &nothing, machine.now);
    let first = gather().await.unwrap();
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(names.len(), 3);
    for damage in ["flip", "cut", "swap"] {
        let files: Vec<_> = names.iter().map(|path| fs::read(path).unwrap()).collect();
        for (at, path) in names.iter().enumerate() {
            let mut bytes = files[at].clone();
            match damage {
                "flip" => bytes[40] ^= 1,
                "cut" => bytes.truncate(60),
                _ => bytes.clone_from(&files[(at + 1) % 3]),
            }
            fs::write(path, bytes).unwrap();
        }
        let without = offline(&server, directory.path());
        let error = without
            .for_snp(&machine.report, &nothing, machine.now)
            .await;
        assert!(error.is_err(), "{damage}");
        let gathered = gather().await.unwrap();
        assert_eq!(gathered.endorsements, first.endorsements, "{damage}");
        assert_eq!(
            freshness(&gathered),
            vec![Freshness::Fetched; 3],
            "{damage}"
        );
        assert_eq!(
            freshness(&gather().await.unwrap()),
            vec![Freshness::Kept; 3]
        );
    }
}

/// A file that is whole, under the right name, and holds what the vendor never signed.
#[tokio::test]
async fn what_is_on_disk_is_checked_like_what_comes_in() {
    use crate::amd::{Chain, CrlItem, Line};
    use crate::cache::{Cache, CacheLimits, Stored};
    use crate::item::{Answer, Item as _};
    use duckblind_attestation::snp::Generation;

    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    let directory = directory();
    let carried = Endorsements {
        vek: Some(machine.vek.clone()),
        ask: Some(machine.ask.clone()),
        ark: Some(machine.ark.clone()),
        ..Endorsements::default()
    };
    let line = Line {
        generation: Generation::Genoa,
        vlek: false,
    };
    let chain = Chain::carried(line, &carried).unwrap();
    let key = CrlItem {
        line,
        chain: &chain,
    }
    .key();
    let cache = Cache::open(directory.path(), CacheLimits::default()).unwrap();
    let mut forged = machine.crl.clone();
    *forged.last_mut().unwrap() ^= 1;
    for (crl, usable) in [(forged, false), (machine.crl.clone(), true)] {
        let stored = Stored {
            answer: Answer::of(crl),
            fetched: machine.now,
        };
        cache.store(key, stored).await;
        let collateral = offline(&server, directory.path());
        let gathered = collateral
            .for_snp(&machine.report, &carried, machine.now)
            .await;
        assert_eq!(gathered.is_ok(), usable);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            usize::from(usable)
        );
    }
}

#[tokio::test]
async fn a_bundle_takes_the_place_of_a_network() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    let directory = directory();
    let all = Endorsements {
        vek: Some(machine.vek.clone()),
        ask: Some(machine.ask.clone()),
        ark: Some(machine.ark.clone()),
        crl: Some(machine.crl.clone()),
        tdx: None,
    };
    let path = directory.path().join("bundle");
    write_bundle(&path, &all).unwrap();
    let carried = Endorsements::default().or(&read_bundle(&path).unwrap());
    let cache = directory.path().join("cache");
    let gathered = offline(&server, &cache)
        .for_snp(&machine.report, &carried, machine.now)
        .await
        .unwrap();
    assert_eq!(gathered.endorsements, all);
}
