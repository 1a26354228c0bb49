//! The X-Wing key that jobs are sealed to.

use hpke::{Deserializable as _, Kem as _, Serializable as _};
use zeroize::Zeroize as _;

use crate::ids::{RandomError, random_bytes};

pub(crate) type Kem = hpke::kem::XWing;
pub(crate) type Kdf = hpke::kdf::HkdfSha256;
pub(crate) type Aead = hpke::aead::AesGcm256;

/// An enclave's secret for one epoch; wiped when dropped.
pub struct KemSecret {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: Vec<u8>,
}

impl KemSecret {
    /// A fresh key.
    pub fn generate() -> Result<Self, RandomError> {
        let mut seed = [0; 32];
        random_bytes(&mut seed)?;
        let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(&seed);
        seed.zeroize();
        let secret = secret.map_err(|_| RandomError)?;
        let public = Kem::sk_to_pk(&secret).to_bytes().to_vec();
        Ok(Self { secret, public })
    }

    /// The public key, [`crate::key_statement::KEM_KEY_LEN`] bytes.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    pub(crate) fn secret(&self) -> &<Kem as hpke::Kem>::PrivateKey {
        &self.secret
    }
}
