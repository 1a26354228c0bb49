//! Genuine quotes and collateral, altered.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::{Case, case, version_4, version_5};
use crate::reason::Reason;
use crate::tdx::{Quote, TdxCollateral};

/// Where the signature of a quote of this version begins: after header, body and a length.
fn signature_at(quote: &[u8]) -> usize {
    match quote[0] {
        4 => 48 + 584 + 4,
        _ => 54 + 648 + 4,
    }
}

/// Refused, for this reason among others.
#[track_caller]
fn refused(case: &Case, reason: Reason) {
    let verdict = case.judge();
    assert!(!verdict.is_accepted());
    let reasons = verdict.reasons();
    assert!(reasons.contains(&reason), "{reason} not in {reasons:?}");
}

#[test]
fn every_flipped_byte_of_two_quotes() {
    for honest in [version_4(), version_5()].into_iter().flatten() {
        assert!(honest.judge().is_accepted());
        for at in 0..honest.quote.len() {
            let mut altered = honest.clone();
            altered.quote[at] ^= 1 << (at % 8);
            assert!(!altered.judge().is_accepted(), "byte {at:#x}");
        }
    }
}

#[test]
fn every_bit_of_what_no_signature_covers() {
    let Some(honest) = version_4() else { return };
    let at = signature_at(&honest.quote);
    // The length before the signature; kind and length of the certification data; kind, length and
    // end of the certificates.
    let certification = at + 128;
    let chain = certification + 6 + 384 + 64 + 2 + 32;
    let last = honest.quote.len() - 80;
    let places = (at - 4..at)
        .chain(certification..certification + 6)
        .chain(chain..chain + 40)
        .chain(last..honest.quote.len());
    for at in places {
        for bit in 0..8 {
            let mut altered = honest.clone();
            altered.quote[at] ^= 1 << bit;
            assert!(!altered.judge().is_accepted(), "byte {at:#x} bit {bit}");
        }
    }
}

/// Bytes after the quote, or not all of it: the library takes both.
#[test]
fn longer_and_shorter() {
    let Some(honest) = version_4() else { return };
    for more in [&b"\0"[..], b"\x01", b"garbage"] {
        let mut altered = honest.clone();
        altered.quote.extend(more);
        refused(&altered, Reason::Format);
    }
    for fewer in [1, 2, 100, 4000, honest.quote.len()] {
        let mut altered = honest.clone();
        altered.quote.truncate(honest.quote.len() - fewer);
        refused(&altered, Reason::Format);
    }
    let mut altered = honest;
    altered.quote.resize(crate::evidence::MAX_REPORT + 1, 0);
    refused(&altered, Reason::Limit);
}

/// The zero byte at the end may be there or not; then all lengths differ.
#[test]
fn the_zero_byte_at_the_end() {
    let Some(mut case) = version_4() else { return };
    assert_eq!(case.quote.pop(), Some(0));
    let at = signature_at(&case.quote);
    for length in [at - 4, at + 130, at + 134 + 384 + 64 + 2 + 32 + 2] {
        let bytes: [u8; 4] = case.quote[length..length + 4].try_into().unwrap();
        let shorter = u32::from_le_bytes(bytes) - 1;
        case.quote[length..length + 4].copy_from_slice(&shorter.to_le_bytes());
    }
    assert!(case.judge().is_accepted());
}

/// n − s, for the order n of P-256.
fn negated(s: &[u8; 32]) -> [u8; 32] {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order: [u8; 32] = order.unwrap().try_into().unwrap();
    let mut out = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        out[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    out
}

/// Two forms of one signature are both genuine, and the evidence is the same.
#[test]
fn the_other_form_of_a_signature() {
    for honest in [version_4(), version_5()].into_iter().flatten() {
        let at = signature_at(&honest.quote);
        // Of the quote, and of the quoting enclave's report.
        for at in [at, at + 134 + 384] {
            let mut altered = honest.clone();
            let s = altered.quote[at + 32..at + 64].try_into().unwrap();
            altered.quote[at + 32..at + 64].copy_from_slice(&negated(&s));
            assert_ne!(altered.quote, honest.quote);
            assert!(altered.judge().is_accepted());
            let digest = |case: &Case| Quote::parse(&case.quote).unwrap().body_digest;
            assert_eq!(digest(&altered), digest(&honest));
        }
    }
}

/// The digest is that of the bytes that the attestation key signed.
#[test]
fn the_digest_covers_what_is_signed() {
    for case in [version_4(), version_5()].into_iter().flatten() {
        let at = signature_at(&case.quote);
        let (signed, key) = (&case.quote[..at - 4], &case.quote[at + 64..at + 128]);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], key].concat());
        assert!(key.verify(signed, &case.quote[at..at + 64]).is_ok());
        let digest = Quote::parse(&case.quote).unwrap().body_digest;
        assert_eq!(digest, duckblind_protocol::ids::Digest::of(signed));
    }
}

#[test]
fn altered_collateral() {
    type Alteration = fn(&mut TdxCollateral);
    let alterations: [(Alteration, Reason); 13] = [
        (
            |c| c.tcb_info = c.tcb_info.replacen("\"svn\":2", "\"svn\":1", 1),
            Reason::Chain,
        ),
        (|c| c.tcb_info.push(' '), Reason::Chain),
        (|c| c.tcb_info.push('}'), Reason::Format),
        (|c| c.tcb_info_signature[40] ^= 1, Reason::Chain),
        (|c| c.qe_identity.push(' '), Reason::Chain),
        (|c| c.qe_identity.clear(), Reason::Format),
        (|c| c.qe_identity_signature[3] ^= 1, Reason::Chain),
        (|c| *c.root_ca_crl.last_mut().unwrap() ^= 1, Reason::Chain),
        (|c| *c.pck_crl.last_mut().unwrap() ^= 1, Reason::Chain),
        (|c| c.pck_crl.clear(), Reason::CollateralMissing),
        (
            |c| std::mem::swap(&mut c.pck_crl, &mut c.root_ca_crl),
            Reason::Chain,
        ),
        (|c| c.tcb_info_issuer_chain.clear(), Reason::Chain),
        (
            |c| c.tcb_info_issuer_chain = c.pck_crl_issuer_chain.clone(),
            Reason::Chain,
        ),
    ];
    let Some(honest) = version_4() else { return };
    for (number, (alter, reason)) in alterations.into_iter().enumerate() {
        let mut altered = honest.clone();
        alter(&mut altered.collateral);
        assert_ne!(altered.collateral, honest.collateral, "{number}");
        refused(&altered, reason);
    }
}

#[test]
fn flipped_bytes_of_collateral() {
    let Some(honest) = version_4() else { return };
    type Part = fn(&mut TdxCollateral) -> &mut Vec<u8>;
    let parts: [(Part, usize); 4] = [
        (|c| &mut c.root_ca_crl, 1),
        (|c| &mut c.pck_crl, 7),
        (|c| &mut c.tcb_info_signature, 1),
        (|c| &mut c.qe_identity_signature, 1),
    ];
    for (part, step) in parts {
        let len = part(&mut honest.collateral.clone()).len();
        for at in (0..len).step_by(step) {
            let mut altered = honest.clone();
            part(&mut altered.collateral)[at] ^= 1;
            assert!(!altered.judge().is_accepted(), "byte {at} of {len}");
        }
    }
    type Text = fn(&mut TdxCollateral) -> &mut String;
    let texts: [Text; 2] = [|c| &mut c.tcb_info, |c| &mut c.qe_identity];
    for text in texts {
        let len = text(&mut honest.collateral.clone()).len();
        for at in (0..len).step_by(3) {
            let mut altered = honest.clone();
            let text = text(&mut altered.collateral);
            let mut bytes = std::mem::take(text).into_bytes();
            bytes[at] ^= 1;
            *text = String::from_utf8(bytes).unwrap();
            assert!(!altered.judge().is_accepted(), "byte {at} of {len}");
        }
    }
}

#[test]
fn documents_of_the_other_kind_of_platform() {
    let (Some(tdx), Some(sgx)) = (version_4(), case("sgx-v3-config-and-sw-hardening")) else {
        return;
    };
    let mut altered = tdx.clone();
    altered
        .collateral
        .qe_identity
        .clone_from(&sgx.collateral.qe_identity);
    let signature = &sgx.collateral.qe_identity_signature;
    altered
        .collateral
        .qe_identity_signature
        .clone_from(signature);
    refused(&altered, Reason::Chain);
    let mut altered = tdx.clone();
    altered
        .collateral
        .tcb_info
        .clone_from(&sgx.collateral.tcb_info);
    let signature = &sgx.collateral.tcb_info_signature;
    altered.collateral.tcb_info_signature.clone_from(signature);
    refused(&altered, Reason::Chain);
    let mut altered = sgx.clone();
    altered
        .collateral
        .qe_identity
        .clone_from(&tdx.collateral.qe_identity);
    let signature = &tdx.collateral.qe_identity_signature;
    altered
        .collateral
        .qe_identity_signature
        .clone_from(signature);
    refused(&altered, Reason::Chain);
}

#[test]
fn sgx_quotes_need_intel_s_root_too() {
    let Some(honest) = case("sgx-v3-config-and-sw-hardening") else {
        return;
    };
    let mut altered = honest.clone();
    altered.collateral.tcb_info_issuer_chain.clear();
    refused(&altered, Reason::Root);
    let mut altered = honest;
    altered.quote[300] ^= 1;
    refused(&altered, Reason::Signature);
}

#[test]
fn times_outside_the_window() {
    let Some(honest) = version_4() else { return };
    for now in [i64::MIN, 0, 1_500_000_000] {
        let mut altered = honest.clone();
        altered.now.0 = now;
        refused(&altered, Reason::Validity);
    }
    for now in [1_795_000_000, 4_000_000_000, i64::MAX] {
        let mut altered = honest.clone();
        altered.now.0 = now;
        refused(&altered, Reason::CrlStale);
        refused(&altered, Reason::Validity);
    }
}

#[test]
fn json_round_trip() {
    for name in ["v4-uptodate-phala", "v5-td15ex-uptodate"] {
        let Some(case) = case(name) else { return };
        let json = case.collateral.to_json().unwrap();
        let again = TdxCollateral::from_json(json.as_bytes()).unwrap();
        assert_eq!(again, case.collateral);
    }
    assert!(TdxCollateral::from_json(b"{}").is_err());
    let long = vec![b' '; 600 * 1024];
    assert!(TdxCollateral::from_json(&long).is_err());
}
