//! EAR as JSON Web Token, EdDSA.

use duckblind_protocol::ids::UnixTime;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use super::wire::Wire;
use super::{EarClaims, EarError, EarSigner, EarVerifyKey, MAX_EAR};

/// Signs `claims`.
pub fn sign_jwt(claims: &EarClaims, signer: &EarSigner) -> Result<String, EarError> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(signer.kid());
    jsonwebtoken::encode(&header, &Wire::from(claims.clone()), &signer.jwt)
        .map_err(|_| EarError::Signing)
}

/// Checks signature, form and lifetime at `now`.
pub fn verify_jwt(
    token: &str,
    keys: &[EarVerifyKey],
    now: UnixTime,
) -> Result<EarClaims, EarError> {
    if token.len() > MAX_EAR {
        return Err(EarError::Malformed("too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| EarError::Malformed("header"))?;
    let kid = header.kid.clone().unwrap_or_default();
    let plain = Header {
        kid: header.kid.clone(),
        ..Header::new(Algorithm::EdDSA)
    };
    if header != plain {
        return Err(EarError::Malformed("header"));
    }
    let Some(key) = EarVerifyKey::find(keys, &kid) else {
        return Err(EarError::UnknownKey { kid });
    };
    let mut validation = Validation::new(Algorithm::EdDSA);
    // Times are checked below, against the caller's clock; there is no `aud`.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_ed_der(key.public_key().as_bytes());
    let token =
        jsonwebtoken::decode::<Wire>(token, &key, &validation).map_err(|error| {
            match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => EarError::Signature,
                _ => EarError::Malformed("claims"),
            }
        })?;
    EarClaims::try_from(token.claims)?.checked(now)
}
