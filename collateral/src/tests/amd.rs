//! What AMD's service has.

use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::snp::report::Report;
use duckblind_protocol::coded::{Coded as _, Exit};
use duckblind_protocol::ids::UnixTime;

use super::server::{Reply, Server};
use super::vectors::{Machine, genoa, milan, turin};
use super::{directory, freshness, offline, online};
use crate::{CollateralError, Freshness};

const CHAIN: &str = "/vcek/v1/Genoa/cert_chain";
const CRL: &str = "/vcek/v1/Genoa/crl";
const DAY: i64 = 24 * 3600;

static NOTHING: Endorsements = Endorsements {
    vek: None,
    ask: None,
    ark: None,
    crl: None,
    tdx: None,
};

fn play(server: &Server, machine: &Machine, product: &str) {
    let at = |what| format!("/vcek/v1/{product}/{what}");
    server.play(&at("cert_chain"), [Reply::ok(machine.cert_chain())]);
    server.play(&at("crl"), [Reply::ok(machine.crl.clone())]);
    server.play(&machine.vek_path, [Reply::ok(machine.vek.clone())]);
}

fn whole(machine: &Machine) -> Endorsements {
    Endorsements {
        vek: Some(machine.vek.clone()),
        ask: Some(machine.ask.clone()),
        ark: Some(machine.ark.clone()),
        crl: Some(machine.crl.clone()),
        tdx: None,
    }
}

#[tokio::test]
async fn everything_is_fetched_once_and_then_kept() {
    for (machine, product) in [(genoa(), "Genoa"), (milan(), "Milan")] {
        let Some(machine) = machine else { return };
        let server = Server::start().await;
        play(&server, &machine, product);
        let directory = directory();
        let collateral = online(&server, directory.path());
        let gathered = collateral.for_snp(&machine.report, &NOTHING, machine.now);
        let gathered = gathered.await.unwrap();
        assert_eq!(gathered.endorsements, whole(&machine));
        assert_eq!(freshness(&gathered), vec![Freshness::Fetched; 3]);
        assert_eq!(server.asked_at_all(), 3);
        // Another process, later the same day; and without a network.
        let again = online(&server, directory.path());
        let gathered = again.for_snp(&machine.report, &NOTHING, UnixTime(machine.now.0 + 3600));
        let gathered = gathered.await.unwrap();
        assert_eq!(freshness(&gathered), vec![Freshness::Kept; 3]);
        assert!(!gathered.refresh_due(machine.now));
        assert!(gathered.refresh_due(UnixTime(machine.now.0 + DAY)));
        let without = offline(&server, directory.path());
        let later = UnixTime(machine.now.0 + 2 * DAY);
        let gathered = without.for_snp(&machine.report, &NOTHING, later).await;
        assert_eq!(gathered.unwrap().endorsements, whole(&machine));
        assert_eq!(server.asked_at_all(), 3);
        let chip = hex::encode(&machine.report.chip_id[..8]);
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains(&chip), "{name}");
        }
    }
}

#[tokio::test]
async fn turin_is_asked_for_in_its_own_way() {
    let Some(machine) = turin() else { return };
    let server = Server::start().await;
    play(&server, &machine, "Turin");
    let directory = directory();
    let collateral = online(&server, directory.path());
    // The list that is served is Milan's: refused, after everything else was had.
    let gathered = collateral.for_snp(&machine.report, &NOTHING, machine.now);
    let error = gathered.await.unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("DB-COL-021", Exit::Malformed)
    );
    server.play("/vcek/v1/Turin/crl", [Reply::status(404)]);
    let error = collateral
        .for_snp(&machine.report, &NOTHING, machine.now)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "DB-COL-014");
    assert_eq!(server.asked(&machine.vek_path), 1);
}

#[tokio::test]
async fn only_what_is_lacking_is_fetched() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    play(&server, &machine, "Genoa");
    let directory = directory();
    let collateral = online(&server, directory.path());
    let carried = Endorsements {
        crl: None,
        ..whole(&machine)
    };
    let gathered = collateral.for_snp(&machine.report, &carried, machine.now);
    let gathered = gathered.await.unwrap();
    assert_eq!(
        freshness(&gathered),
        [Freshness::Carried, Freshness::Carried, Freshness::Fetched]
    );
    assert_eq!((server.asked(CRL), server.asked_at_all()), (1, 1));
    // A chain without its root, or with another one's, is no chain.
    for ask in [None, Some(machine.vek.clone())] {
        let carried = Endorsements {
            ask,
            ..carried.clone()
        };
        let gathered = collateral.for_snp(&machine.report, &carried, machine.now);
        assert_eq!(gathered.await.unwrap().endorsements, whole(&machine));
    }
    assert_eq!(server.asked(CHAIN), 1);
}

#[tokio::test]
async fn foreign_roots_are_left_alone() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    let directory = directory();
    let collateral = online(&server, directory.path());
    let carried = Endorsements {
        ark: Some(machine.ask.clone()),
        ..NOTHING.clone()
    };
    let gathered = collateral.for_snp(&machine.report, &carried, machine.now);
    let gathered = gathered.await.unwrap();
    assert_eq!(gathered.endorsements, carried);
    assert!(gathered.parts.is_empty());
    assert_eq!(server.asked_at_all(), 0);
}

#[tokio::test]
async fn a_carried_list_serves_where_there_is_no_other() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    let directory = directory();
    let collateral = offline(&server, directory.path());
    let all = whole(&machine);
    let gathered = collateral.for_snp(&machine.report, &all, machine.now);
    let gathered = gathered.await.unwrap();
    assert_eq!(freshness(&gathered), vec![Freshness::Carried; 3]);
    // Not past its end, not before its beginning, not of another root.
    let end = gathered.ends().unwrap();
    let mut other = whole(&machine);
    other.crl = milan().map(|milan| milan.crl);
    for (carried, now) in [
        (whole(&machine), UnixTime(end.0 + 1)),
        (whole(&machine), UnixTime(1_700_000_000)),
        (other, machine.now),
        (NOTHING.clone(), machine.now),
    ] {
        let error = collateral.for_snp(&machine.report, &carried, now).await;
        let error = error.unwrap_err();
        assert!(matches!(error, CollateralError::Offline(_)), "{error}");
        assert_eq!(error.exit(), Exit::Unreachable);
        assert!(error.hint().is_some());
    }
    assert_eq!(server.asked_at_all(), 0);
}

#[tokio::test]
async fn lists_are_refreshed_daily_and_end_at_their_end() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    play(&server, &machine, "Genoa");
    let directory = directory();
    let collateral = online(&server, directory.path());
    let carried = Endorsements {
        crl: None,
        ..whole(&machine)
    };
    let at = |now| collateral.for_snp(&machine.report, &carried, UnixTime(now));
    let start = machine.now.0;
    at(start).await.unwrap();
    at(start + DAY - 1).await.unwrap();
    assert_eq!(server.asked(CRL), 1);
    at(start + DAY).await.unwrap();
    assert_eq!(server.asked(CRL), 2);
    // A look for something newer that fails is one request, leaves the old one in use, says so,
    // and is not made again at once.
    server.play(CRL, [Reply::status(500)]);
    for wait in [0, 10, 299] {
        let gathered = at(start + 2 * DAY + wait).await.unwrap();
        let last = gathered.parts.last().unwrap().freshness.clone();
        assert!(matches!(
            last,
            Freshness::KeptAfter(CollateralError::Failed { status: 500, .. })
        ));
        assert_eq!(server.asked(CRL), 1);
    }
    at(start + 2 * DAY + 300).await.unwrap();
    assert_eq!(server.asked(CRL), 2);
    // One second past its end it is of no use, whoever has it.
    let end = at(start + 2 * DAY + 301).await.unwrap().ends().unwrap();
    assert!(at(end.0).await.is_ok());
    assert_eq!(at(end.0 + 1).await.unwrap_err().code(), "DB-COL-013");
    server.play(CRL, [Reply::ok(machine.crl.clone())]);
    let error = at(end.0 + 1).await.unwrap_err();
    assert_eq!((error.code(), error.exit()), ("DB-COL-022", Exit::Stale));
    // A clock that went back does not make it younger.
    at(start - DAY).await.unwrap();
    assert_eq!(server.asked(CRL), 2);
}

#[tokio::test]
async fn what_cannot_be_fetched() {
    let Some(machine) = genoa() else { return };
    let server = Server::start().await;
    play(&server, &machine, "Genoa");
    let directory = directory();
    let collateral = online(&server, directory.path());
    let vlek = Report {
        key_info: 1 << 2,
        ..machine.report.clone()
    };
    let hidden = Report {
        chip_id: [0; 64],
        ..machine.report.clone()
    };
    let nameless = Report {
        version: 2,
        cpuid: [0; 3],
        ..machine.report.clone()
    };
    for (report, code) in [
        (&vlek, "DB-COL-030"),
        (&hidden, "DB-COL-031"),
        (&nameless, "DB-COL-032"),
    ] {
        let gathered = collateral.for_snp(report, &NOTHING, machine.now);
        let error = gathered.await.unwrap_err();
        assert_eq!((error.code(), error.exit()), (code, Exit::Unsupported));
    }
    assert_eq!(server.asked(&machine.vek_path), 0);
    // With its certificate, an old report is known.
    let all = whole(&machine);
    let gathered = collateral.for_snp(&nameless, &all, machine.now);
    assert!(gathered.await.is_ok());
}

#[tokio::test]
async fn a_cloud_key_has_a_chain_and_a_list_of_its_own() {
    let Some(machine) = milan() else { return };
    let folder = super::vectors::folder().unwrap().join("snp/normalized");
    let asvk = std::fs::read(folder.join("asvk_milan.der")).unwrap();
    let machine = Machine {
        ask: asvk.clone(),
        ..machine
    };
    let server = Server::start().await;
    server.play(
        "/vlek/v1/Milan/cert_chain",
        [Reply::ok(machine.cert_chain())],
    );
    server.play("/vlek/v1/Milan/crl", [Reply::ok(machine.crl.clone())]);
    let directory = directory();
    let report = Report {
        key_info: 1 << 2,
        ..machine.report.clone()
    };
    let carried = Endorsements {
        vek: Some(vec![1, 2, 3]),
        ..NOTHING.clone()
    };
    let gathered = online(&server, directory.path())
        .for_snp(&report, &carried, machine.now)
        .await
        .unwrap();
    assert_eq!(gathered.endorsements.ask, Some(asvk));
    assert_eq!(gathered.endorsements.vek, carried.vek);
    assert_eq!(server.asked_at_all(), 2);
}

#[tokio::test]
async fn certificates_of_other_chips_firmware_and_roots_are_refused() {
    let (Some(machine), Some(other)) = (genoa(), milan()) else {
        return;
    };
    let server = Server::start().await;
    play(&server, &machine, "Genoa");
    let place = directory();
    let collateral = online(&server, place.path());
    let mut forged = machine.vek.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut chip = machine.report.clone();
    chip.chip_id[0] ^= 1;
    let mut firmware = machine.report.clone();
    firmware.reported_tcb[0] ^= 1;
    let chip_path = machine.vek_path.replace(
        &hex::encode(machine.report.chip_id),
        &hex::encode(chip.chip_id),
    );
    let firmware_path = machine.vek_path.replace("blSPL=10", "blSPL=11");
    for (report, path, vek) in [
        (&chip, chip_path, &machine.vek),
        (&firmware, firmware_path, &machine.vek),
        (&machine.report, machine.vek_path.clone(), &other.vek),
        (&machine.report, machine.vek_path.clone(), &machine.ask),
        (&machine.report, machine.vek_path.clone(), &forged),
    ] {
        server.play(&path, [Reply::ok(vek.clone())]);
        let gathered = collateral.for_snp(report, &NOTHING, machine.now);
        let error = gathered.await.unwrap_err();
        assert_eq!(error.code(), "DB-COL-021", "{error}");
    }
}

#[tokio::test]
async fn chains_that_do_not_end_in_the_pinned_root_are_refused() {
    let (Some(machine), Some(other)) = (genoa(), milan()) else {
        return;
    };
    let server = Server::start().await;
    // Inside both lists' windows, so that nothing but the chain is wrong.
    let now = other.now;
    for (ask, ark, crl) in [
        (&machine.ark, &machine.ask, &machine.crl),
        (&machine.ask, &other.ark, &machine.crl),
        (&other.ask, &machine.ark, &machine.crl),
        (&other.ask, &other.ark, &other.crl),
    ] {
        let bad = Machine {
            ask: ask.clone(),
            ark: ark.clone(),
            crl: crl.clone(),
            ..genoa().unwrap()
        };
        play(&server, &bad, "Genoa");
        let place = directory();
        let carried = Endorsements {
            vek: Some(machine.vek.clone()),
            ..NOTHING.clone()
        };
        let error = online(&server, place.path())
            .for_snp(&machine.report, &carried, now)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("AMD's certificate chain"),
            "{error}"
        );
    }
}
