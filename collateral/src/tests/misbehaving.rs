//! Services that are slow, busy, broken, or somebody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::coded::{Coded as _, Exit};

use super::server::{Reply, Server};
use super::vectors::{Machine, genoa};
use super::{config, directory, online};
use crate::client::{Client, Patience, Wanted};
use crate::config::Config;
use crate::item::Answer;
use crate::{Collateral, CollateralError};

const CHAIN: &str = "/vcek/v1/Genoa/cert_chain";
const CRL: &str = "/vcek/v1/Genoa/crl";

/// One request for `/x` of at most 10 bytes.
async fn get(server: &Server, config: &Config) -> Result<Answer, CollateralError> {
    let wanted = Wanted {
        url: server.origin().at("/x").unwrap(),
        what: "it",
        cap: 10,
        chain_headers: &["Chain"],
        attempts: config.patience.attempts,
    };
    Client::new(config).unwrap().get(&wanted).await
}

#[tokio::test]
async fn busy_and_then_not() {
    let server = Server::start().await;
    for first in [429, 500, 502, 503] {
        server.play("/x", [Reply::status(first), Reply::ok("answer")]);
        let answer = get(&server, &config(&server)).await.unwrap();
        assert_eq!(answer.body, b"answer");
        assert_eq!(server.asked("/x"), 2, "{first}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_bound() {
    let server = Server::start().await;
    let busy = |after: &str| Reply::status(429).header("Retry-After", after);
    server.play("/x", [busy("1"), Reply::ok("answer")]);
    let start = Instant::now();
    assert!(get(&server, &config(&server)).await.is_ok());
    assert!(start.elapsed() >= Duration::from_secs(1));
    server.play("/x", [busy("2"), Reply::ok("answer")]);
    let error = get(&server, &config(&server)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Busy);
    assert!(error.hint().unwrap().contains("2 seconds"));
    assert_eq!(server.asked("/x"), 1);
}

#[tokio::test]
async fn endlessly_busy() {
    let server = Server::start().await;
    server.play("/x", [Reply::status(429)]);
    let error = get(&server, &config(&server)).await.unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-COL-012", Exit::Busy));
    assert_eq!(error.got().as_deref(), Some("HTTP status 429"));
    assert_eq!(server.asked("/x"), 3);
    // Attempts without end, and still an end: between two of them, or within one.
    let mut patient = config(&server);
    patient.patience = Patience {
        attempts: u32::MAX,
        total: Duration::from_secs(1),
        first_wait: Duration::from_millis(20),
        ..patient.patience
    };
    let slow = Reply::ok("answer").delay(Duration::from_mins(1));
    for then in [Reply::status(429), slow] {
        server.play("/x", [Reply::status(429), then]);
        let start = Instant::now();
        let error = get(&server, &patient).await.unwrap_err();
        assert_eq!(error.got().as_deref(), Some("HTTP status 429"));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn slow_servers() {
    let server = Server::start().await;
    server.play("/x", [Reply::ok("answer").delay(Duration::from_secs(5))]);
    for (answer, total) in [(100, 5000), (5000, 100)] {
        let mut config = config(&server);
        config.patience.answer = Duration::from_millis(answer);
        config.patience.total = Duration::from_millis(total);
        let start = Instant::now();
        let error = get(&server, &config).await.unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("DB-COL-011", Exit::Unreachable)
        );
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn sizes_are_bounded_before_and_while_reading() {
    let server = Server::start().await;
    server.play("/x", [Reply::ok([7; 10])]);
    assert!(get(&server, &config(&server)).await.is_ok());
    let long_header = Reply::ok("x").header("Chain", "x".repeat(16 * 1024 + 1));
    for reply in [
        Reply::ok([7; 11]),
        Reply::ok([7; 11]).length(None),
        Reply::ok("").length(Some(1 << 40)),
        long_header,
    ] {
        server.play("/x", [reply]);
        let error = get(&server, &config(&server)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("DB-COL-020", Exit::Malformed)
        );
    }
}

#[tokio::test]
async fn bodies_that_break_off() {
    let server = Server::start().await;
    server.play("/x", [Reply::ok("half").length(Some(8))]);
    let error = get(&server, &config(&server)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("DB-COL-010", Exit::Unreachable)
    );
}

#[tokio::test]
async fn nobody_there() {
    let server = Server::start().await;
    let mut config = config(&server);
    // Port 1 of this machine: nobody listens.
    config.amd = "http://127.0.0.1:1".parse().unwrap();
    let wanted = Wanted {
        url: config.amd.at("/vcek/v1/Genoa/0123?blSPL=1").unwrap(),
        what: "it",
        cap: 10,
        chain_headers: &[],
        attempts: 1,
    };
    let error = Client::new(&config)
        .unwrap()
        .get(&wanted)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("DB-COL-010", Exit::Unreachable)
    );
    // Whoever reads the log does not learn the chip.
    assert!(!format!("{error} {error:?}").contains("0123"));
}

#[tokio::test]
async fn other_statuses_are_not_asked_again() {
    let server = Server::start().await;
    for (status, code) in [
        (404, "DB-COL-014"),
        (400, "DB-COL-013"),
        (403, "DB-COL-013"),
        (204, "DB-COL-013"),
        (206, "DB-COL-013"),
    ] {
        server.play("/x", [Reply::status(status)]);
        let error = get(&server, &config(&server)).await.unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        assert_eq!(server.asked("/x"), 1);
    }
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let (server, other) = (Server::start().await, Server::start().await);
    other.play("/y", [Reply::ok("answer")]);
    server.play("/y", [Reply::ok("answer")]);
    for to in [format!("{}/y", other.origin()), "/y".to_owned()] {
        for status in [301, 302, 307, 308] {
            server.play("/x", [Reply::status(status).header("Location", to.clone())]);
            let error = get(&server, &config(&server)).await.unwrap_err();
            assert_eq!(
                (error.code(), error.exit()),
                ("DB-COL-003", Exit::Unsupported)
            );
        }
    }
    assert_eq!((other.asked_at_all(), server.asked("/y")), (0, 0));
}

#[tokio::test]
async fn other_hosts_are_not_asked() {
    let (server, other) = (Server::start().await, Server::start().await);
    let error = get(&other, &config(&server)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("DB-COL-002", Exit::Unsupported)
    );
    assert!(
        error
            .expected()
            .unwrap()
            .contains(&server.origin().to_string())
    );
    assert_eq!(other.asked_at_all(), 0);
}

#[test]
fn the_vendors_are_the_default_and_authorities_are_certificates() {
    let mut config = Config::vendors().unwrap();
    assert!(
        config
            .origins()
            .iter()
            .all(|origin| origin.to_string().starts_with("https://"))
    );
    assert!(Client::new(&config).is_ok());
    for bad in [
        &b""[..],
        b"x",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        config.extra_authorities = Some(bad.to_vec());
        assert!(Client::new(&config).is_err());
    }
}

fn play(server: &Server, machine: &Machine) {
    server.play(CHAIN, [Reply::ok(machine.cert_chain())]);
    server.play(CRL, [Reply::ok(machine.crl.clone())]);
    server.play(&machine.vek_path, [Reply::ok(machine.vek.clone())]);
}

#[tokio::test]
async fn garbage_is_not_kept() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    let nothing = Endorsements::default();
    let page = Reply::ok("<html>maintenance</html>");
    for path in [CHAIN, CRL, &machine.vek_path] {
        let place = directory();
        let collateral = online(&server, place.path());
        let gather = || collateral.for_snp(&machine.report, &nothing, machine.now);
        play(&server, &machine);
        server.play(path, [page.clone(), Reply::ok(""), Reply::ok([0x30, 0])]);
        for _ in 0..3 {
            let error = gather().await.unwrap_err();
            assert_eq!(
                (error.code(), error.exit()),
                ("DB-COL-021", Exit::Malformed)
            );
        }
        assert_eq!(server.asked(path), 3);
        play(&server, &machine);
        assert!(gather().await.is_ok());
    }
}

#[tokio::test]
async fn many_who_ask_make_one_request() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    play(&server, &machine);
    let directory = directory();
    let collateral: Arc<Collateral> = Arc::new(online(&server, directory.path()));
    let machine = Arc::new(machine);
    let all: Vec<_> = (0..32)
        .map(|_| {
            let (collateral, machine) = (collateral.clone(), machine.clone());
            tokio::spawn(async move {
                let nothing = Endorsements::default();
                let gathered = collateral.for_snp(&machine.report, &nothing, machine.now);
                gathered.await.unwrap().endorsements
            })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap().vek.as_ref(), Some(&machine.vek));
    }
    for path in [CHAIN, CRL, &machine.vek_path] {
        assert_eq!(server.asked(path), 1, "{path}");
    }
}
