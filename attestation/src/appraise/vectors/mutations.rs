//! Genuine reports, changed.

use super::{Vector, vector, vectors};
use crate::appraise::crypto;
use crate::check::Outcome;
use crate::reason::Reason;
use crate::snp::report::{ParsedReport, SIGNED_LEN};

/// One of each kind: two layouts of Milan, Genoa, Turin.
const KINDS: [&str; 5] = [
    "virtee_sev__report_milan",
    "confidential-dot-ai_attestation-rs__milan-v3",
    "confidential-containers_trustee__evidence-genoa",
    "project-oak_oak__genoa",
    "microsoft_TEE-Attestation-Verification__turin",
];

fn kinds() -> impl Iterator<Item = Vector> {
    KINDS.into_iter().filter_map(vector)
}

fn reasons(vector: &Vector, report: &[u8]) -> Vec<Reason> {
    let verdict = crypto::snp(report, &vector.endorsements, vector.now);
    assert_eq!(verdict.is_accepted(), verdict.reasons().is_empty());
    verdict.reasons()
}

#[test]
fn every_flipped_byte() {
    for vector in kinds() {
        for at in 0..vector.report.len() {
            let mut report = vector.report.clone();
            report[at] ^= 1 << (at % 8);
            let reasons = reasons(&vector, &report);
            let name = &vector.manifest.name;
            assert!(reasons.contains(&Reason::Signature), "{name} byte {at:#x}");
        }
    }
}

/// Where parsers that encode again what they have read look away: bytes inside of versions, and
/// around the numbers of the signature.
#[test]
fn every_bit_of_the_blind_places() {
    let blind = [
        0x3a..0x40,
        0x182..0x188,
        0x1e2..0x1e8,
        0x1f2..0x1f8,
        0x2d0..0x2d4,
        0x2e4..0x2e8,
        0x318..0x31c,
        0x49c..0x4a0,
    ];
    for vector in kinds() {
        for at in blind.iter().cloned().flatten() {
            for bit in 0..8 {
                let mut report = vector.report.clone();
                report[at] ^= 1 << bit;
                let reasons = reasons(&vector, &report);
                assert!(reasons.contains(&Reason::Signature), "byte {at:#x}");
            }
        }
    }
}

#[test]
fn other_lengths() {
    for vector in kinds() {
        let mut report = vector.report.clone();
        report.push(0);
        assert_eq!(reasons(&vector, &report), [Reason::Format]);
        for len in [0, 1, SIGNED_LEN, vector.report.len() - 1] {
            assert_eq!(reasons(&vector, &vector.report[..len]), [Reason::Format]);
        }
    }
}

/// The order of P-384's group (FIPS 186-4, D.1.2.4).
const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Little-endian, in place: what is missing to the order.
fn negate(number: &mut [u8]) {
    let mut borrow = false;
    for (byte, of_order) in number.iter_mut().zip(ORDER.iter().rev()) {
        let (difference, a) = of_order.overflowing_sub(*byte);
        let (difference, b) = difference.overflowing_sub(u8::from(borrow));
        *byte = difference;
        borrow = a || b;
    }
    assert!(!borrow);
}

/// A signature has a second form, which is as good: nothing may be named by the whole report.
#[test]
fn the_other_form_of_the_signature() {
    for vector in kinds() {
        let mut report = vector.report.clone();
        negate(&mut report[0x2e8..0x2e8 + 48]);
        assert_ne!(report, vector.report);
        assert_eq!(reasons(&vector, &report), []);
        let digest = |raw: &[u8]| ParsedReport::parse(raw).unwrap().body_digest;
        assert_eq!(digest(&report), digest(&vector.report));
    }
}

#[test]
fn keys_and_roots_of_others() {
    let all: Vec<_> = vectors()
        .into_iter()
        .filter(|vector| {
            vector.is_accepted() && vector.manifest.vek_kind.as_deref() == Some("VCEK")
        })
        .collect();
    for one in &all {
        for other in &all {
            let same_root = one.endorsements.ark == other.endorsements.ark;
            if one.endorsements.vek != other.endorsements.vek {
                let mut endorsements = one.endorsements.clone();
                endorsements.vek.clone_from(&other.endorsements.vek);
                let verdict = crypto::snp(&one.report, &endorsements, one.now);
                assert!(verdict.reasons().contains(&Reason::Signature));
                assert!(verdict.reasons().contains(&Reason::Chain));
            }
            // Version 2 does not say what it is: there the certificate does.
            if !same_root && one.report[0] > 2 {
                let verdict = crypto::snp(&one.report, &other.endorsements, one.now);
                let mut failed = verdict.checks.iter().filter(|c| c.outcome == Outcome::Fail);
                assert!(failed.any(|check| check.name == "platform.root"));
            }
            if !same_root {
                for part in 0..2 {
                    let mut endorsements = one.endorsements.clone();
                    if part == 0 {
                        endorsements.ask.clone_from(&other.endorsements.ask);
                    } else {
                        endorsements.ark.clone_from(&other.endorsements.ark);
                    }
                    let verdict = crypto::snp(&one.report, &endorsements, one.now);
                    assert!(verdict.reasons().contains(&Reason::Chain));
                }
            }
        }
    }
}
