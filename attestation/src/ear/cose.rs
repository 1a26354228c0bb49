//! EAR as COSE_Sign1, EdDSA, over the canonical bytes.

use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _,
    iana,
};
use duckblind_protocol::cbor;
use duckblind_protocol::ids::{Signature, UnixTime};

use super::wire::Wire;
use super::{EarClaims, EarError, EarSigner, EarVerifyKey, MAX_EAR};

fn header(kid: &str) -> coset::Header {
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(kid.as_bytes().to_vec())
        .build()
}

/// Signs `claims`; tagged, key id in the protected header.
pub fn sign_cose(claims: &EarClaims, signer: &EarSigner) -> Result<Vec<u8>, EarError> {
    CoseSign1Builder::new()
        .protected(header(&signer.kid()))
        .payload(claims.canonical())
        .create_signature(&[], |message| signer.sign(message).as_bytes().to_vec())
        .build()
        .to_tagged_vec()
        .map_err(|_| EarError::Signing)
}

/// Checks signature, form and lifetime at `now`. Only the exact form that [`sign_cose`] writes is
/// taken: no unprotected header, no other algorithm, no other encoding.
pub fn verify_cose(
    bytes: &[u8],
    keys: &[EarVerifyKey],
    now: UnixTime,
) -> Result<EarClaims, EarError> {
    if bytes.len() > MAX_EAR {
        return Err(EarError::Malformed("too long"));
    }
    let message =
        CoseSign1::from_tagged_slice(bytes).map_err(|_| EarError::Malformed("structure"))?;
    let kid = String::from_utf8_lossy(&message.protected.header.key_id).into_owned();
    let wanted = header(&kid);
    if message.protected.header != wanted || message.unprotected != coset::Header::default() {
        return Err(EarError::Malformed("header"));
    }
    if message.protected.original_data.as_deref() != wanted.to_vec().ok().as_deref() {
        return Err(EarError::Malformed("header"));
    }
    let Some(key) = EarVerifyKey::find(keys, &kid) else {
        return Err(EarError::UnknownKey { kid });
    };
    message.verify_signature(&[], |signature, signed| {
        let signature = Signature::from_slice(signature).ok_or(EarError::Signature)?;
        key.public_key()
            .verify(signed, &signature)
            .map_err(|_| EarError::Signature)
    })?;
    let again = message.clone().to_tagged_vec();
    if again.ok().as_deref() != Some(bytes) {
        return Err(EarError::Malformed("encoding"));
    }
    let payload = message.payload.unwrap_or_default();
    let wire: Wire = cbor::decode(&payload, MAX_EAR).map_err(|_| EarError::Malformed("claims"))?;
    EarClaims::try_from(wire)?.checked(now)
}
