//! Claims that a pinned signer signed, with anything in them: what is taken has one COSE form, and
//! the same claims as a JWT.
#![no_main]
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::{CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use duckblind_attestation::ear::{
    EarSigner, EarVerifyKey, sign_cose, sign_jwt, verify_cose, verify_jwt,
};
use duckblind_protocol::ids::UnixTime;
use ed25519_dalek::{Signer as _, SigningKey};
use libfuzzer_sys::fuzz_target;

const NOW: UnixTime = UnixTime(1_800_000_000);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[5; 32]));
static SIGNER: LazyLock<EarSigner> = LazyLock::new(|| EarSigner::new(KEY.clone()));

fn cose(payload: &[u8]) -> Vec<u8> {
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(SIGNER.kid().into_bytes())
        .build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec())
        .create_signature(&[], |message| KEY.sign(message).to_bytes().to_vec())
        .build()
        .to_tagged_vec()
        .expect("COSE")
}

fn jwt(payload: &[u8]) -> String {
    let header = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{}"}}"#, SIGNER.kid());
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fuzz_target!(|data: &[u8]| {
    let keys = [EarVerifyKey::new(SIGNER.public_key())];
    let token = cose(data);
    if let Ok(claims) = verify_cose(&token, &keys, NOW) {
        assert_eq!(sign_cose(&claims, &SIGNER).expect("COSE"), token);
        let token = sign_jwt(&claims, &SIGNER).expect("JWT");
        assert_eq!(verify_jwt(&token, &keys, NOW).expect("the same"), claims);
    }
    if let Ok(claims) = verify_jwt(&jwt(data), &keys, NOW) {
        let token = sign_cose(&claims, &SIGNER).expect("COSE");
        assert_eq!(verify_cose(&token, &keys, NOW).expect("the same"), claims);
    }
});
