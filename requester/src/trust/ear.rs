//! The attestation result: signed by a pinned key, for our challenge, within its life.

use duckblind_attestation::ear::{self, EarClaims, EarError, EarVerifyKey};
use duckblind_protocol::ids::{Digest, Nonce, PublicKey, UnixTime};
use duckblind_protocol::key_statement::combined_nonce;

use super::admit_error::AdmitError;

/// An attestation result whose signature, times and nonce were checked. Made by [`verify_ear`]
/// only.
#[derive(Debug)]
pub struct VerifiedEar {
    claims: EarClaims,
    signer: PublicKey,
}

impl VerifiedEar {
    /// What it claims.
    pub fn claims(&self) -> &EarClaims {
        &self.claims
    }

    /// Which of the pinned keys signed it.
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// What evidence for this signer must name as its audience.
    pub fn audience(&self) -> Digest {
        ear::audience(&self.signer)
    }
}

/// Checks an attestation result. Every encoding that is given must verify, all under the same
/// pinned key, and all must say the same; at least one must be given. `own` is the requester's
/// part of the nonce; with none, the result must have none either.
///
/// A negative result verifies too: whether it accepts the enclave is in its claims.
pub fn verify_ear(
    jwt: Option<&str>,
    cose: Option<&[u8]>,
    signers: &[PublicKey],
    own: Option<&Nonce>,
    now: UnixTime,
) -> Result<VerifiedEar, AdmitError> {
    let mut refused = None;
    for signer in signers {
        match decode(jwt, cose, signer, now) {
            Ok(claims) => {
                answers(&claims, own)?;
                return Ok(VerifiedEar {
                    claims,
                    signer: *signer,
                });
            }
            Err(Refused::Final(error)) => return Err(error),
            Err(Refused::Key(error)) => refused = Some(error),
        }
    }
    Err(refused.map_or(AdmitError::NoEar, AdmitError::Ear))
}

enum Refused {
    /// Perhaps another key fits.
    Key(EarError),
    Final(AdmitError),
}

fn decode(
    jwt: Option<&str>,
    cose: Option<&[u8]>,
    signer: &PublicKey,
    now: UnixTime,
) -> Result<EarClaims, Refused> {
    let keys = [EarVerifyKey::new(*signer)];
    let jwt = jwt
        .map(|token| ear::verify_jwt(token, &keys, now))
        .transpose()?;
    let cose = cose
        .map(|bytes| ear::verify_cose(bytes, &keys, now))
        .transpose()?;
    match (jwt, cose) {
        (None, None) => Err(Refused::Final(AdmitError::NoEar)),
        (Some(one), Some(other)) if one != other => {
            Err(Refused::Final(AdmitError::EncodingsDiffer))
        }
        (Some(claims), _) | (None, Some(claims)) => Ok(claims),
    }
}

impl From<EarError> for Refused {
    fn from(error: EarError) -> Self {
        match error {
            // Every key has an id; another pinned key may be the one.
            EarError::UnknownKey { .. } => Self::Key(error),
            // Signed by this key, or pretending to be: no other key can make it good.
            other => Self::Final(AdmitError::Ear(other)),
        }
    }
}

/// The result must answer our challenge, both parts of it.
fn answers(claims: &EarClaims, own: Option<&Nonce>) -> Result<(), AdmitError> {
    let recomputed = combined_nonce(&claims.verifier_nonce, own);
    if claims.requester_nonce.as_ref() == own && claims.nonce == recomputed {
        Ok(())
    } else {
        Err(AdmitError::Nonce)
    }
}
