//! EARs: what both encodings carry, and what breaks them.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use duckblind_protocol::coded::Coded;
use duckblind_protocol::ids::{Nonce, UnixTime};
use duckblind_protocol::key_statement::combined_nonce;
use ed25519_dalek::SigningKey;

use super::*;
use crate::appraise::Appraisal;
use crate::reason::Reason;
use crate::testing::Case;

fn signer() -> EarSigner {
    EarSigner::new(SigningKey::from_bytes(&[1; 32]))
}

fn pinned() -> Vec<EarVerifyKey> {
    vec![EarVerifyKey::new(signer().public_key())]
}

fn context() -> Context {
    Context {
        lifetime_seconds: 600,
        verifier_id: VerifierId {
            developer: "Duckblind".into(),
            build: "test".into(),
        },
        verifier_nonce: Nonce::from_bytes([5; 32]),
        requester_nonce: None,
        node: None,
    }
}

/// A case whose challenge carries the context's nonce.
fn case() -> Case {
    let mut case = Case::good();
    case.challenge.nonce = combined_nonce(&context().verifier_nonce, None);
    case.expected.nonce = case.challenge.nonce;
    case
}

fn refused() -> Appraisal {
    let mut case = case();
    case.config.engine = "x".into();
    case.restate();
    case.judge()
}

fn claims() -> EarClaims {
    EarClaims::new(&case().judge(), context()).unwrap()
}

#[test]
fn both_encodings_carry_the_same() {
    for appraisal in [case().judge(), refused()] {
        let claims = EarClaims::new(&appraisal, context()).unwrap();
        let jwt = sign_jwt(&claims, &signer()).unwrap();
        let cose = sign_cose(&claims, &signer()).unwrap();
        let from_jwt = verify_jwt(&jwt, &pinned(), claims.iat).unwrap();
        let from_cose = verify_cose(&cose, &pinned(), claims.iat).unwrap();
        assert_eq!(from_jwt, claims);
        assert_eq!(from_cose, claims);
        assert_eq!(from_jwt.digest(), from_cose.digest());
    }
}

#[test]
fn accepted_and_refused() {
    let accepted = claims();
    assert!(accepted.is_accepted() && accepted.sim);
    // A simulated platform is never plainly affirmed.
    assert_eq!(accepted.status, EarStatus::Warning);
    assert_eq!(accepted.trust_vector.hardware, EarStatus::Warning);
    let negative = EarClaims::new(&refused(), context()).unwrap();
    assert!(!negative.is_accepted());
    assert_eq!(negative.status, EarStatus::Contraindicated);
    assert_eq!(negative.reasons, [Reason::Config]);
    assert_eq!(
        negative.trust_vector.configuration,
        EarStatus::Contraindicated
    );
    assert_eq!(negative.trust_vector.executables, EarStatus::Affirming);
}

#[test]
fn the_profile_s_names() {
    let jwt = sign_jwt(&claims(), &signer()).unwrap();
    let payload = jwt.split('.').nth(1).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(json["eat_profile"], "tag:ietf.org,2026:rats/ear#04");
    assert_eq!(json["submods"]["cpu"]["ear.status"], "warning");
    assert_eq!(json["duckblind"]["skipped"], serde_json::json!([]));
    assert_eq!(json["duckblind"]["sim"], true);
    assert_eq!(json["ear.verifier-id"]["developer"], "Duckblind");
}

#[test]
fn life_ends_with_whatever_ends_first() {
    let mut case = case();
    let lasting = |appraisal: &Appraisal| {
        let context = Context {
            lifetime_seconds: u32::MAX,
            ..context()
        };
        EarClaims::new(appraisal, context).unwrap().exp.0
    };
    assert_eq!(claims().exp.0, case.now.0 + 600);
    // The epoch of the sample is an hour.
    assert_eq!(lasting(&case.judge()), case.now.0 + 3600);
    let end = case.judge().result.unwrap().valid_until();
    case.now = UnixTime(end.0 - 10);
    assert_eq!(lasting(&case.judge()), end.0);
}

#[test]
fn times() {
    let claims = claims();
    let jwt = sign_jwt(&claims, &signer()).unwrap();
    let cose = sign_cose(&claims, &signer()).unwrap();
    let at = |now: i64| {
        let now = UnixTime(now);
        (
            verify_jwt(&jwt, &pinned(), now).map(|_| ()),
            verify_cose(&cose, &pinned(), now).map(|_| ()),
        )
    };
    let (iat, exp) = (claims.iat.0, claims.exp.0);
    for now in [iat - MAX_SKEW_SECONDS, iat, exp - 1] {
        assert_eq!(at(now), (Ok(()), Ok(())));
    }
    for now in [exp, i64::MAX] {
        let (jwt, cose) = at(now);
        assert_eq!(jwt.unwrap_err().code(), "DB-ATT-053");
        assert_eq!(cose.unwrap_err().code(), "DB-ATT-053");
    }
    for now in [iat - MAX_SKEW_SECONDS - 1, i64::MIN] {
        let (jwt, cose) = at(now);
        assert_eq!(jwt.unwrap_err().code(), "DB-ATT-054");
        assert_eq!(cose.unwrap_err().code(), "DB-ATT-054");
    }
}

#[test]
fn unknown_signers() {
    let stranger = EarSigner::new(SigningKey::from_bytes(&[2; 32]));
    let claims = claims();
    let jwt = sign_jwt(&claims, &stranger).unwrap();
    let cose = sign_cose(&claims, &stranger).unwrap();
    let kid = stranger.kid();
    let unknown = Err(EarError::UnknownKey { kid });
    assert_eq!(verify_jwt(&jwt, &pinned(), claims.iat), unknown);
    assert_eq!(verify_cose(&cose, &pinned(), claims.iat), unknown);
    assert_eq!(verify_jwt(&jwt, &[], claims.iat), unknown);
}

#[test]
fn every_flipped_byte_of_the_cose_form() {
    let claims = claims();
    let cose = sign_cose(&claims, &signer()).unwrap();
    for at in 0..cose.len() {
        let mut bytes = cose.clone();
        *bytes.get_mut(at).unwrap() ^= 1 << (at % 8);
        assert!(
            verify_cose(&bytes, &pinned(), claims.iat).is_err(),
            "byte {at}"
        );
    }
    let mut longer = cose.clone();
    longer.push(0);
    assert!(verify_cose(&longer, &pinned(), claims.iat).is_err());
}

#[test]
fn every_flipped_character_of_the_jwt_form() {
    let claims = claims();
    let jwt = sign_jwt(&claims, &signer()).unwrap();
    for at in 0..jwt.len() {
        let mut bytes = jwt.clone().into_bytes();
        let byte = bytes.get_mut(at).unwrap();
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).unwrap();
        assert!(
            verify_jwt(&token, &pinned(), claims.iat).is_err(),
            "character {at}"
        );
    }
}

/// A token with this header and payload, properly signed.
fn forged(header: &str, payload: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(header);
    let body = URL_SAFE_NO_PAD.encode(payload);
    let message = format!("{head}.{body}");
    let signature = signer().sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

#[test]
fn headers_that_are_not_ours() {
    let claims = claims();
    let jwt = sign_jwt(&claims, &signer()).unwrap();
    let payload = URL_SAFE_NO_PAD
        .decode(jwt.split('.').nth(1).unwrap())
        .unwrap();
    let kid = signer().kid();
    let good = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}"}}"#);
    assert!(verify_jwt(&forged(&good, &payload), &pinned(), claims.iat).is_ok());
    for header in [
        format!(r#"{{"typ":"JWT","alg":"none","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}","crit":["x"]}}"#),
        format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}","jku":"https://example.org"}}"#),
        r#"{"typ":"JWT","alg":"EdDSA"}"#.to_owned(),
    ] {
        let token = forged(&header, &payload);
        assert!(
            verify_jwt(&token, &pinned(), claims.iat).is_err(),
            "{header}"
        );
    }
}

#[test]
fn claims_that_contradict_themselves() {
    type Change = fn(&mut EarClaims);
    let changes: [Change; 8] = [
        |c| c.status = EarStatus::Affirming,
        |c| c.sim = false,
        |c| c.reasons.push(Reason::Config),
        |c| c.enclave = None,
        |c| c.nonce = Nonce::from_bytes([0; 32]),
        |c| c.requester_nonce = Some(Nonce::from_bytes([0; 32])),
        |c| c.trust_vector.hardware = EarStatus::Affirming,
        |c| c.exp = UnixTime(c.iat.0 - 1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut claims = claims();
        change(&mut claims);
        let jwt = sign_jwt(&claims, &signer()).unwrap();
        let cose = sign_cose(&claims, &signer()).unwrap();
        let now = UnixTime(claims.iat.0 - 1);
        let errors = [
            verify_jwt(&jwt, &pinned(), now).unwrap_err(),
            verify_cose(&cose, &pinned(), now).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), "DB-ATT-055", "change {number}");
        }
    }
}

#[test]
fn skipped_checks_and_unknown_claims() {
    let claims = claims();
    let jwt = sign_jwt(&claims, &signer()).unwrap();
    let payload = URL_SAFE_NO_PAD
        .decode(jwt.split('.').nth(1).unwrap())
        .unwrap();
    let text = String::from_utf8(payload).unwrap();
    let header = format!(
        r#"{{"typ":"JWT","alg":"EdDSA","kid":"{}"}}"#,
        signer().kid()
    );
    let verify = |text: &str| verify_jwt(&forged(&header, text.as_bytes()), &pinned(), claims.iat);
    assert!(verify(&text).is_ok());
    let skipped = text.replacen(r#""skipped":[]"#, r#""skipped":["report.vmpl"]"#, 1);
    assert_eq!(
        verify(&skipped),
        Err(EarError::Inconsistent("checks were skipped"))
    );
    let extra = text.replacen('{', r#"{"more":1,"#, 1);
    assert_eq!(verify(&extra), Err(EarError::Malformed("claims")));
    let twice = text.replacen('{', r#"{"iat":1,"#, 1);
    assert_eq!(verify(&twice), Err(EarError::Malformed("claims")));
    let profile = text.replacen("rats/ear#04", "rats/ear#99", 1);
    assert_eq!(
        verify(&profile),
        Err(EarError::Malformed("another profile"))
    );
}

#[test]
fn agreement_with_an_appraisal_of_ones_own() {
    let case = case();
    let evidence = case.evidence();
    let appraisal = case.judge_envelope(&evidence);
    let claims = EarClaims::new(&appraisal, context()).unwrap();
    let own = appraisal.result.unwrap();
    assert_eq!(claims.agrees_with(&own), Ok(()));
    type Change = fn(&mut EarClaims);
    let changes: [(Change, &str); 6] = [
        (|c| c.enclave = None, "verdict"),
        (|c| c.enclave.as_mut().unwrap().epoch += 1, "enclave"),
        (|c| c.sim = false, "sim"),
        (|c| c.policy_id = c.evidence, "policy"),
        (|c| c.evidence = c.policy_id, "evidence"),
        (|c| c.nonce = Nonce::from_bytes([0; 32]), "nonce"),
    ];
    for (change, what) in changes {
        let mut changed = claims.clone();
        change(&mut changed);
        assert_eq!(changed.agrees_with(&own), Err(EarError::Differs(what)));
    }
}

#[test]
fn key_ids_and_audiences() {
    let key = EarVerifyKey::new(signer().public_key());
    assert_eq!(key.kid(), signer().kid());
    assert_eq!(key.audience(), signer().audience());
    assert!(key.audience().to_string().starts_with(&key.kid()));
    assert_eq!(key.jwk()["kid"], key.kid());
    assert_eq!(key.jwk()["crv"], "Ed25519");
}
