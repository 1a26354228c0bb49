//! AMD's own revocation lists, and certificates that are not AMD's.

use duckblind_protocol::ids::UnixTime;

use super::{Vector, read, vector};
use crate::appraise::crypto::{self, CryptoVerdict};
use crate::reason::Reason;
use crate::snp::certificate::{Certificate, CertificateError};
use crate::snp::crl::RevocationList;
use crate::snp::vek::{Holder, VekClaims};
use crate::snp::{Generation, SignatureCache};

/// 2025-10-01, when both lists held.
const BOTH: i64 = 1_759_276_800;

fn with_list(vector: &Vector, list: &str, now: i64) -> CryptoVerdict {
    let mut endorsements = vector.endorsements.clone();
    endorsements.crl = read(list);
    crypto::snp(&vector.report, &endorsements, UnixTime(now))
}

#[test]
fn within_and_outside_of_their_time() {
    let lists = [
        (
            "confidential-dot-ai_attestation-rs__milan-v3",
            "normalized/crl_milan.der",
            (1_746_535_146, 1_778_544_000),
        ),
        (
            "confidential-containers_trustee__evidence-genoa",
            "normalized/crl_genoa.der",
            (1_737_763_200, 1_762_131_600),
        ),
    ];
    for (name, list, (from, to)) in lists {
        let Some(vector) = vector(name) else { return };
        for now in [from, BOTH, to] {
            let verdict = with_list(&vector, list, now);
            assert!(
                verdict.is_accepted(),
                "{name} {now} {:?}",
                verdict.reasons()
            );
        }
        assert_eq!(
            with_list(&vector, list, to + 1).reasons(),
            [Reason::CrlStale]
        );
    }
    let Some(vector) = vector(lists[0].0) else {
        return;
    };
    let early = with_list(&vector, lists[0].1, lists[0].2.0 - 1);
    assert_eq!(early.reasons(), [Reason::CrlStale]);
}

#[test]
fn of_another_generation() {
    let Some(milan) = vector("confidential-dot-ai_attestation-rs__milan-v3") else {
        return;
    };
    let verdict = with_list(&milan, "normalized/crl_genoa.der", BOTH);
    assert_eq!(verdict.reasons(), [Reason::Chain]);
}

fn certificate(name: &str) -> Option<Certificate> {
    Some(Certificate::from_der(&read(name)?).unwrap())
}

#[test]
fn what_they_list() {
    let Some(genoa) = read("normalized/crl_genoa.der") else {
        return;
    };
    let genoa = RevocationList::from_der(&genoa).unwrap();
    assert_eq!(genoa.number(), 4);
    assert!(genoa.lists(&[2, 0, 1]));
    assert!(!genoa.lists(&[2, 0, 2]) && !genoa.lists(&[0]) && !genoa.lists(&[]));
    let ask = certificate("normalized/ask_genoa.der").unwrap();
    assert_eq!(ask.serial(), [2, 0, 2]);
    let milan = RevocationList::from_der(&read("normalized/crl_milan.der").unwrap()).unwrap();
    assert_eq!(milan.number(), 6);
    assert!(!milan.lists(&[2, 0, 1]));
}

#[test]
fn only_the_root_may_sign_one() {
    let Some(list) = read("normalized/crl_milan.der") else {
        return;
    };
    let list = RevocationList::from_der(&list).unwrap();
    let cache = SignatureCache::none();
    let by = |name: &str| list.signed_by(&certificate(name).unwrap(), &cache);
    assert_eq!(by("normalized/ark_milan.der"), Ok(()));
    assert_eq!(
        by("normalized/ark_genoa.der"),
        Err(CertificateError::Issuer)
    );
    // Its key may sign certificates only.
    let not_allowed = Err(CertificateError::NotACrlSigner);
    assert_eq!(by("normalized/ask_milan.der"), not_allowed);
    assert_eq!(by("virtee_sev/vcek_turin.der"), not_allowed);
}

#[test]
fn certificates_that_nobody_signed() {
    let Some(vector) = vector("confidential-dot-ai_attestation-rs__milan-v3") else {
        return;
    };
    // The two ways in the field to write a chip id.
    for kind in ["legacy", "new"] {
        let name = format!("confidential-containers_trustee/test-vcek-invalid-{kind}.der");
        let mut endorsements = vector.endorsements.clone();
        endorsements.vek = read(&name);
        let verdict = crypto::snp(&vector.report, &endorsements, vector.now);
        assert!(verdict.reasons().contains(&Reason::Chain), "{name}");
        let claims = VekClaims::read(&certificate(&name).unwrap()).unwrap();
        assert_eq!(claims.hw_id().map(<[u8]>::len), Some(64), "{name}");
    }
}

#[test]
fn a_key_of_turin() {
    let Some(vcek) = certificate("virtee_sev/vcek_turin.der") else {
        return;
    };
    let ask = certificate("normalized/ask_turin.der").unwrap();
    vcek.signed_by(&ask, &SignatureCache::none()).unwrap();
    let claims = VekClaims::read(&vcek).unwrap();
    assert_eq!(claims.generation, Generation::Turin);
    assert_eq!(claims.struct_version, 1);
    assert!(claims.tcb.fmc.is_some());
    let Holder::Chip(id) = &claims.holder else {
        unreachable!()
    };
    let mut reported = [0; 64];
    reported[..8].copy_from_slice(id);
    assert!(claims.is_chip(&reported));
    reported[8] = 1;
    assert!(!claims.is_chip(&reported));
}
