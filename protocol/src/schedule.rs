//! The keys that one HPKE encapsulation yields (RFC 9180, section 5.3) and who holds which.
//!
//! | export | key of | holders |
//! |---|---|---|
//! | `duckblind/v1/body/<section>` | one body section | requester, that job process |
//! | `duckblind/v1/control` | requester → supervisor | requester, supervisor |
//! | `duckblind/v1/result` + response nonce | query process → requester | requester, query process |
//! | `duckblind/v1/status` + response nonce | supervisor → requester | requester, supervisor |

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::body::Section;
use crate::ids::{Digest, ResponseNonce};
use crate::labels;

/// A 32-byte secret, wiped when dropped; no `Debug`, no `Clone`. In a box, because moving an array
/// leaves its bytes behind where nobody wipes them.
pub(crate) type Secret = Box<Zeroizing<[u8; 32]>>;

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Secret);

        impl $name {
            /// Takes over the bytes, in a box so that no copy stays behind.
            pub fn from_bytes(bytes: Secret) -> Self {
                Self(bytes)
            }

            /// The bytes, to be handed to the one process that uses them.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}

secret_key!(
    /// Opens one section of a job's body.
    SectionKey);
secret_key!(
    /// Seals (query process) or opens (requester) the chunks of one result.
    ResultKey);

/// Where both ends get their exports from.
pub(crate) trait Exporter {
    fn export(&self, label: &[u8], out: &mut [u8]) -> Result<(), hpke::HpkeError>;
}

impl Exporter for hpke::aead::AeadCtxS<crate::kem::Aead, crate::kem::Kdf, crate::kem::Kem> {
    fn export(&self, label: &[u8], out: &mut [u8]) -> Result<(), hpke::HpkeError> {
        self.export(label, out)
    }
}

impl Exporter for hpke::aead::AeadCtxR<crate::kem::Aead, crate::kem::Kdf, crate::kem::Kem> {
    fn export(&self, label: &[u8], out: &mut [u8]) -> Result<(), hpke::HpkeError> {
        self.export(label, out)
    }
}

fn export(context: &impl Exporter, label: &str) -> Result<Secret, hpke::HpkeError> {
    let mut secret = Secret::default();
    context.export(label.as_bytes(), secret.as_mut_slice())?;
    Ok(secret)
}

pub(crate) fn section_key(
    context: &impl Exporter,
    section: Section,
) -> Result<SectionKey, hpke::HpkeError> {
    let label = format!("{}{}", labels::EXPORT_BODY, section.name());
    export(context, &label).map(SectionKey)
}

/// The exports that live as long as the job's session.
pub(crate) struct SessionSecrets {
    pub(crate) control: Secret,
    result: Secret,
    status: Secret,
    enc: Digest,
}

impl SessionSecrets {
    pub(crate) fn of(context: &impl Exporter, enc: Digest) -> Result<Self, hpke::HpkeError> {
        Ok(Self {
            control: export(context, labels::EXPORT_CONTROL)?,
            result: export(context, labels::EXPORT_RESULT)?,
            status: export(context, labels::EXPORT_STATUS)?,
            enc,
        })
    }

    pub(crate) fn result_key(&self, nonce: &ResponseNonce) -> Option<ResultKey> {
        self.mix(&self.result, nonce).map(ResultKey)
    }

    pub(crate) fn status_key(&self, nonce: &ResponseNonce) -> Option<Secret> {
        self.mix(&self.status, nonce)
    }

    /// HKDF-SHA256: salt = response nonce, info = SHA-256(enc).
    fn mix(&self, secret: &Secret, nonce: &ResponseNonce) -> Option<Secret> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, nonce.as_bytes()).extract(secret.as_slice());
        let mut out = Secret::default();
        prk.expand(&[self.enc.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(out.as_mut_slice()))
            .ok()?;
        Some(out)
    }
}
