//! What keeps an enclave from starting, and what it attests when it does.

use std::fs;

use duckblind_attestation::config::{EnclaveConfig, Wall};
use duckblind_attestation::release::ReleaseManifest;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::{Tee, report_data};

use crate::client::attest;
use crate::process::{Enclave, Place};

fn refusal(place: &Place) -> (i32, String) {
    let output = place.refused();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn coded_refusals() {
    let place = Place::new();
    assert!(matches!(refusal(&place), (2, text) if text.contains("DB-ENC-001")));
    place.configure("limits.max_job = 1");
    let (code, text) = refusal(&place);
    assert_eq!(code, 2);
    assert!(
        text.contains("DB-ENC-002") && text.contains("max_job"),
        "{text}"
    );
    place.configure("");

    let release = fs::read_to_string(place.path("release.json")).unwrap();
    let mut other = ReleaseManifest::from_json(&release).unwrap();
    other.binary = Digest::of(b"another binary");
    fs::write(place.path("release.json"), other.to_json()).unwrap();
    assert!(matches!(refusal(&place), (10, text) if text.contains("DB-ENC-011")));
    fs::write(place.path("release.json"), release).unwrap();

    let config = fs::read_to_string(place.path("enclave.toml")).unwrap();
    let lines = config.lines();
    let without: Vec<_> = lines
        .filter(|line| !line.starts_with("simulator"))
        .collect();
    fs::write(place.path("enclave.toml"), without.join("\n")).unwrap();
    if !std::path::Path::new("/sys/kernel/config/tsm/report").exists() {
        let (code, text) = refusal(&place);
        assert_eq!(code, 20);
        assert!(
            text.contains("DB-ENC-004") && text.contains("hint:"),
            "{text}"
        );
    }
    fs::write(place.path("enclave.toml"), config).unwrap();

    let enclave = place.start();
    // A second one does not take the first one's socket away.
    let second = enclave.place.refused();
    assert_eq!(second.status.code(), Some(2));
    attest(&enclave);
}

#[test]
fn it_attests_what_is_in_force() {
    let enclave = Enclave::start("limits.threads = 3\ntimeouts.drain_ms = 1234");
    let known = attest(&enclave);
    let config = EnclaveConfig::decode(&known.evidence.config).unwrap();
    assert_eq!(config.digest(), known.statement.config);
    assert_eq!(config.engine, "duckdb 2.0.0");
    assert_eq!((config.limits.threads, config.timeouts.drain_ms), (3, 1234));
    let all = [
        Wall::FreshExec,
        Wall::EmptyEnvironment,
        Wall::ClosedDescriptors,
        Wall::NoNewPrivs,
        Wall::NotDumpable,
        Wall::NoCoreDumps,
        Wall::ResourceLimits,
        Wall::ProcessGroup,
        Wall::NoSpill,
        Wall::NoCapabilities,
    ];
    assert_eq!(config.walls, all);
    let release = ReleaseManifest::decode(&known.evidence.release).unwrap();
    assert_eq!(release.digest(), known.statement.release);
}

/// Where a quote of version 4 has what it binds.
const TDX_REPORT_DATA: std::ops::Range<usize> = 568..632;

#[test]
fn it_attests_on_the_platform_that_is_chosen() {
    let chosen = |extra: &str| attest(&Enclave::start(extra)).evidence;
    let evidence = chosen("simulator.platform = \"tdx\"");
    assert_eq!(evidence.tee, Tee::Tdx);
    assert_eq!(
        evidence.report[TDX_REPORT_DATA],
        report_data(&evidence.key_statement, &evidence.challenge)
    );
    assert!(evidence.endorsements.tdx.is_some() && evidence.event_log.is_some());

    for (extra, version) in [("", 3), ("simulator.platform = \"sev-snp-v5\"", 5)] {
        let evidence = chosen(extra);
        assert_eq!((evidence.tee, evidence.report[0]), (Tee::SevSnp, version));
        assert!(evidence.endorsements.crl.is_some() && evidence.event_log.is_none());
    }
}
