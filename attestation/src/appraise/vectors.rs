//! SNP reports of real machines.
// The table of outcomes is for people: `cargo test every_listed_outcome -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod lists;
mod mutations;
mod parsers;

use std::fs;
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;

use super::crypto::{self, CryptoVerdict};
use crate::evidence::Endorsements;
use crate::reason::Reason;

/// The first second of 2026, when the one cloud's key had expired and all chips' keys had not.
const LATER: i64 = 1_767_225_600;

#[derive(Deserialize)]
struct Manifest {
    name: String,
    report: String,
    generation: String,
    vek: Option<String>,
    vek_kind: Option<String>,
    now: i64,
    expect_crypto: String,
    expect_crypto_reason: Option<String>,
    strict_reasons: Vec<String>,
}

/// A report with what stands behind it and what is to be said of it.
struct Vector {
    manifest: Manifest,
    report: Vec<u8>,
    endorsements: Endorsements,
    now: UnixTime,
}

impl Vector {
    fn judge(&self) -> CryptoVerdict {
        crypto::snp(&self.report, &self.endorsements, self.now)
    }

    fn is_accepted(&self) -> bool {
        self.manifest.expect_crypto == "accept"
    }
}

fn folder() -> Option<PathBuf> {
    crate::vectors::folder("snp")
}

fn read(name: &str) -> Option<Vec<u8>> {
    Some(fs::read(folder()?.join(name)).unwrap())
}

/// All of them; none, and a word on it, if they are not on this machine.
fn vectors() -> Vec<Vector> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let folder = folder.join("normalized");
    let all: Vec<Manifest> =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert!(all.len() >= 14);
    all.into_iter().map(|one| load(&folder, one)).collect()
}

/// One by the beginning of its name.
fn vector(name: &str) -> Option<Vector> {
    let mut all = vectors().into_iter();
    all.find(|vector| vector.manifest.name.starts_with(name))
}

fn load(folder: &Path, manifest: Manifest) -> Vector {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    // Bergamo and Siena carry Genoa's keys.
    let line = manifest.generation.trim_end_matches('?');
    let line = line.trim_end_matches("-a0");
    let signer = match manifest.vek_kind.as_deref() {
        Some("VLEK") => "asvk",
        _ => "ask",
    };
    Vector {
        report: read(&manifest.report),
        endorsements: Endorsements {
            vek: manifest.vek.as_deref().map(read),
            ask: Some(read(&format!("{signer}_{line}.der"))),
            ark: Some(read(&format!("ark_{line}.der"))),
            ..Endorsements::default()
        },
        now: UnixTime(manifest.now),
        manifest,
    }
}

fn names(reasons: &[Reason]) -> String {
    let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    if names.is_empty() {
        "accept".to_owned()
    } else {
        names.join(" ")
    }
}

#[test]
fn every_listed_outcome() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in vectors() {
        let Manifest {
            name,
            expect_crypto_reason,
            strict_reasons,
            ..
        } = &vector.manifest;
        let ours = vector.judge();
        let listed = expect_crypto_reason.as_deref().unwrap_or("accept");
        println!(
            "{name}\n  crypto: listed {listed}; ours {}",
            names(&ours.reasons())
        );
        assert_eq!(ours.is_accepted(), vector.is_accepted(), "{name}");
        assert_eq!(ours.is_accepted(), ours.reasons().is_empty(), "{name}");
        if let Some(reason) = expect_crypto_reason {
            assert_eq!(ours.reasons(), [reason.parse().unwrap()], "{name}");
        }
        let now = UnixTime(vector.now.0.max(LATER));
        let ours = crypto::snp_strict(&vector.report, &vector.endorsements, now).unwrap();
        let listed: Vec<Reason> = strict_reasons.iter().map(|r| r.parse().unwrap()).collect();
        println!(
            "  strict: listed {}; ours {}",
            names(&listed),
            names(&ours.reasons())
        );
        for reason in &listed {
            assert!(ours.reasons().contains(reason), "{name}: {reason}");
        }
        if listed.is_empty() {
            assert!(ours.is_accepted(), "{name}: {}", names(&ours.reasons()));
            accepted += 1;
        } else {
            assert!(!ours.is_accepted(), "{name}");
            refused += 1;
        }
    }
    assert!(folder().is_none() || (accepted > 0 && refused >= 13));
}

/// The one key of a cloud, a year long: `E_VALIDITY` ever after, and nothing else about the chain.
#[test]
fn a_clouds_key_after_its_year() {
    let Some(vector) = vector("confidential-containers_trustee__test-vlek") else {
        return;
    };
    assert!(vector.judge().is_accepted());
    let later = |now| crypto::snp(&vector.report, &vector.endorsements, UnixTime(now));
    assert_eq!(later(LATER).reasons(), [Reason::Validity]);
    // The signer of chips' keys is not the signer of clouds' keys.
    let chips = Endorsements {
        ask: read("normalized/ask_milan.der"),
        ..vector.endorsements.clone()
    };
    let verdict = crypto::snp(&vector.report, &chips, vector.now);
    assert_eq!(verdict.reasons(), [Reason::Chain]);
}

#[test]
fn without_one_of_the_certificates() {
    for vector in vectors().iter().filter(|vector| vector.is_accepted()) {
        for missing in 0..3 {
            let mut endorsements = vector.endorsements.clone();
            *[
                &mut endorsements.vek,
                &mut endorsements.ask,
                &mut endorsements.ark,
            ][missing] = None;
            let verdict = crypto::snp(&vector.report, &endorsements, vector.now);
            let reasons = verdict.reasons();
            // Version 2 does not say what it is without the certificate.
            assert!(reasons.contains(&Reason::CollateralMissing), "{missing}");
            assert!(!verdict.is_accepted());
        }
    }
}

#[test]
fn before_and_after_the_chip_keys_time() {
    const YEARS: i64 = 8 * 365 * 24 * 60 * 60;
    for vector in vectors().iter().filter(|vector| vector.is_accepted()) {
        let at = |now| crypto::snp(&vector.report, &vector.endorsements, UnixTime(now));
        assert_eq!(at(vector.now.0 + YEARS).reasons(), [Reason::Validity]);
        // The manifest's times are sixty days after the certificate's first.
        let earlier = vector.now.0 - 61 * 24 * 60 * 60;
        assert_eq!(at(earlier).reasons(), [Reason::Validity]);
    }
}
