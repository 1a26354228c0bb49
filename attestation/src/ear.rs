//! The verdict on paper: an EAR (Entity Attestation Token profile for attestation results), signed
//! by a verifier.
//!
//! JWT and COSE are two encodings of one set of claims. The digest of the claims' canonical bytes
//! names an EAR, whichever encoding it came in.

mod claims;
mod cose;
mod error;
mod jwt;
mod keys;
mod wire;

#[cfg(all(test, feature = "simulator"))]
mod tests;

pub use claims::{
    Context, EarClaims, EarStatus, EnclaveClaims, Jti, MAX_SKEW_SECONDS, TrustVector, VerifierId,
};
pub use cose::{sign_cose, verify_cose};
pub use error::EarError;
pub use jwt::{sign_jwt, verify_jwt};
pub use keys::{EarSigner, EarVerifyKey, audience, kid};

/// Bytes that a signed EAR may have.
pub const MAX_EAR: usize = 64 * 1024;
