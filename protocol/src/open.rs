//! Opening a sealed job: the order by the supervisor, each section by its own process.

use hpke::{Deserializable as _, OpModeR};
use zeroize::Zeroizing;

use crate::aead;
use crate::body::Section;
use crate::cbor::{self, DecodeError};
use crate::coded::{Coded, Exit};
use crate::control::ControlOpener;
use crate::hazmat::section_aad;
use crate::ids::{Digest, JobId, ResponseNonce};
use crate::kem::{Aead, Kdf, Kem, KemSecret};
use crate::labels;
use crate::order::{MAX_ORDER, Order, SignedOrder};
use crate::schedule::{SessionSecrets, section_key};
use crate::sealed_job::SealedJob;
use crate::status::StatusSealer;

pub use crate::schedule::{ResultKey, SectionKey};

/// A sealed job, or a part of one, that is refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It names another key statement than the key's.
    #[error("the job is sealed to another key statement")]
    OtherKey,
    /// Not sealed to this key, or changed on the way.
    #[error("the job does not open")]
    Sealed,
    /// It opened, but its content is no order.
    #[error("the order is malformed: {0}")]
    Order(#[from] DecodeError),
    /// The requester's signature does not hold.
    #[error("the order's signature does not verify")]
    Signature,
    /// A section is missing, or is not the one that the order names.
    #[error("a section is not the one that the order names")]
    SectionDigest,
}

impl Coded for OpenError {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherKey => "DB-PRO-030",
            Self::Sealed => "DB-PRO-031",
            Self::Order(_) => "DB-PRO-032",
            Self::Signature => "DB-PRO-033",
            Self::SectionDigest => "DB-PRO-034",
        }
    }
    fn exit(&self) -> Exit {
        Exit::Rejected
    }
}

/// An authenticated order and the supervisor's keys of the job. The keys are wiped when dropped.
pub struct OpenedJob {
    /// What may run.
    pub order: Order,
    /// SHA-256 of the order's bytes.
    pub order_digest: Digest,
    /// SHA-256 of the encapsulation.
    pub enc_digest: Digest,
    section_keys: Vec<(Section, SectionKey)>,
    secrets: SessionSecrets,
}

/// Opens and authenticates an order: sealed to `secret` under this key statement, signed by the
/// key that it names, and naming exactly the sections that came with it.
pub fn open_order(
    secret: &KemSecret,
    key_statement: &Digest,
    sealed: &SealedJob,
) -> Result<OpenedJob, OpenError> {
    if sealed.key_statement != *key_statement {
        return Err(OpenError::OtherKey);
    }
    let enc =
        <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed.enc).map_err(|_| OpenError::Sealed)?;
    let info = [labels::JOB_INFO.as_bytes(), key_statement.as_bytes()].concat();
    let mut context =
        hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, secret.secret(), &enc, &info)
            .map_err(|_| OpenError::Sealed)?;
    let signed = context
        .open(&sealed.order, labels::ORDER_AAD.as_bytes())
        .map_err(|_| OpenError::Sealed)?;
    let signed: SignedOrder = cbor::decode(&signed, MAX_ORDER)?;
    let order = Order::decode(&signed.order)?;

    let enc_digest = sealed.enc_digest();
    let message = SignedOrder::message(key_statement, &enc_digest, &signed.order);
    order
        .requester
        .verify(&message, &signed.signature)
        .map_err(|_| OpenError::Signature)?;

    let named = order.sections.iter().map(|s| (s.name, s.digest));
    let came = sealed
        .sections
        .iter()
        .map(|s| (s.name, Digest::of(&s.ciphertext)));
    if !named.eq(came) {
        return Err(OpenError::SectionDigest);
    }

    let section_keys = order
        .sections
        .iter()
        .map(|s| Ok((s.name, section_key(&context, s.name)?)))
        .collect::<Result<_, hpke::HpkeError>>()
        .map_err(|_| OpenError::Sealed)?;
    let secrets = SessionSecrets::of(&context, enc_digest).map_err(|_| OpenError::Sealed)?;
    Ok(OpenedJob {
        order_digest: Digest::of(&signed.order),
        order,
        enc_digest,
        section_keys,
        secrets,
    })
}

impl OpenedJob {
    /// The key of one section, for the process that opens it. Gives it away: a second call finds
    /// none.
    pub fn take_section_key(&mut self, section: Section) -> Option<SectionKey> {
        let index = self.section_keys.iter().position(|(s, _)| *s == section)?;
        Some(self.section_keys.swap_remove(index).1)
    }

    /// Opens what the requester sends. To be made once.
    pub fn control(&self) -> Result<ControlOpener, OpenError> {
        ControlOpener::new(&self.secrets.control, &self.order.job).map_err(|_| OpenError::Sealed)
    }

    /// The key of the result, for the query process. To be made once.
    pub fn result_key(&self, nonce: &ResponseNonce) -> Result<ResultKey, OpenError> {
        self.secrets.result_key(nonce).ok_or(OpenError::Sealed)
    }

    /// Seals what goes to the requester. To be made once.
    pub fn status(&self, nonce: &ResponseNonce) -> Result<StatusSealer, OpenError> {
        let key = self.secrets.status_key(nonce).ok_or(OpenError::Sealed)?;
        StatusSealer::new(&key, &self.order.job).map_err(|_| OpenError::Sealed)
    }
}

/// Opens one section of a body, in the process that it is for.
pub fn open_section(
    key: &SectionKey,
    name: Section,
    job: &JobId,
    enc: &Digest,
    ciphertext: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut bytes = Zeroizing::new(ciphertext);
    aead::open_once(key.expose(), &[&section_aad(name, job, enc)], &mut bytes)
        .map_err(|_| OpenError::Sealed)?;
    Ok(bytes)
}
