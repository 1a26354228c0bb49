//! Raw sealing. It seals to whatever key it is given, attested or not; only `requester/src/trust/`
//! may name it, and hands it nothing but keys whose evidence was appraised.

use ed25519_dalek::SigningKey;
use hpke::{Deserializable as _, OpModeS, Serializable as _};

use crate::aead;
use crate::body::{MAX_SECTION, QuerySection, Section};
use crate::cbor;
use crate::coded::{Coded, Exit};
use crate::control::ControlSealer;
use crate::frames::MAX_CONTROL;
use crate::ids::{Digest, JobId, PublicKey, RandomError, ResponseNonce, Signature, random_bytes};
use crate::kem::{Aead, Kdf, Kem};
use crate::labels;
use crate::order::{MAX_ORDER, Order, OrderDraft, SectionDigest, SignedOrder};
use crate::result_stream::ResultOpener;
use crate::schedule::{SessionSecrets, section_key};
use crate::sealed_job::{self, SealedJob, SealedSection};
use crate::status::StatusOpener;

/// A job that cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not an X-Wing public key.
    #[error("the enclave's KEM key is not a key")]
    BadKey,
    /// SQL, manifests and keys together are too large for one frame.
    #[error("the job is too large to seal")]
    TooLarge {
        /// Bytes it would take.
        len: usize,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The cipher refused; cannot happen with well-formed keys.
    #[error("the cipher refused")]
    Cipher,
}

impl Coded for SealError {
    fn code(&self) -> &'static str {
        match self {
            Self::BadKey => "DB-PRO-020",
            Self::TooLarge { .. } => "DB-PRO-021",
            Self::Random(e) => e.code(),
            Self::Cipher => "DB-PRO-022",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::BadKey => Exit::Rejected,
            Self::TooLarge { .. } => Exit::Usage,
            Self::Random(_) | Self::Cipher => Exit::Internal,
        }
    }
    fn expected(&self) -> Option<String> {
        matches!(self, Self::TooLarge { .. }).then(|| format!("at most {MAX_CONTROL} bytes"))
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::TooLarge { len } => Some(format!("{len} bytes")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        matches!(self, Self::TooLarge { .. })
            .then(|| "name fewer tables, or tables of fewer files, in one job".into())
    }
}

/// The system's generator in the shape that HPKE wants, which cannot fail: a failure is kept and
/// asked for afterwards.
#[derive(Default)]
struct SystemRandom {
    failed: bool,
}

impl hpke::rand_core::TryRng for SystemRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        if random_bytes(out).is_err() {
            self.failed = true;
            out.fill(0);
        }
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for SystemRandom {}

/// The requester's end of one sealed job.
pub struct RequesterSession {
    job: JobId,
    enc: Digest,
    order: Digest,
    secrets: SessionSecrets,
}

impl RequesterSession {
    /// The job.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// SHA-256 of the encapsulation, as `accepted` and `refused` name it.
    pub fn enc_digest(&self) -> &Digest {
        &self.enc
    }

    /// SHA-256 of the order, as the job receipt names it.
    pub fn order_digest(&self) -> &Digest {
        &self.order
    }

    /// Seals what goes to the supervisor. To be made once.
    pub fn control(&self) -> Result<ControlSealer, SealError> {
        ControlSealer::new(&self.secrets.control, &self.job).map_err(|_| SealError::Cipher)
    }

    /// Opens the result, once the response nonce is known.
    pub fn result(&self, nonce: &ResponseNonce) -> Result<ResultOpener, SealError> {
        let key = self.secrets.result_key(nonce).ok_or(SealError::Cipher)?;
        ResultOpener::new(&key, &self.job).map_err(|_| SealError::Cipher)
    }

    /// Opens the supervisor's messages, once the response nonce is known.
    pub fn status(&self, nonce: &ResponseNonce) -> Result<StatusOpener, SealError> {
        let key = self.secrets.status_key(nonce).ok_or(SealError::Cipher)?;
        StatusOpener::new(&key, &self.job).map_err(|_| SealError::Cipher)
    }
}

/// Seals a job to `kem_key`: sections first, then the order that names their digests.
pub fn seal(
    kem_key: &[u8],
    key_statement: &Digest,
    draft: OrderDraft,
    query: &QuerySection,
    signer: &SigningKey,
) -> Result<(SealedJob, RequesterSession), SealError> {
    let public =
        <Kem as hpke::Kem>::PublicKey::from_bytes(kem_key).map_err(|_| SealError::BadKey)?;
    let info = [labels::JOB_INFO.as_bytes(), key_statement.as_bytes()].concat();
    let mut random = SystemRandom::default();
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &public, &info, &mut random)
            .map_err(|_| SealError::BadKey)?;
    if random.failed {
        return Err(SealError::Random(RandomError));
    }
    let enc = enc.to_bytes().to_vec();
    let enc_digest = Digest::of(&enc);

    let mut ciphertext = query.encode().to_vec();
    if ciphertext.len() > MAX_SECTION {
        return Err(SealError::TooLarge {
            len: ciphertext.len(),
        });
    }
    let name = Section::Query;
    let key = section_key(&context, name).map_err(|_| SealError::Cipher)?;
    let aad = section_aad(name, &draft.job, &enc_digest);
    aead::seal_once(key.expose(), &[&aad], &mut ciphertext).map_err(|_| SealError::Cipher)?;

    let order = Order {
        v: crate::order::VERSION,
        job: draft.job,
        ticket: draft.ticket,
        class: draft.class,
        limits: draft.limits,
        expiry_ms: draft.expiry_ms,
        endpoints: draft.endpoints,
        inputs: draft.inputs,
        sections: vec![SectionDigest {
            name,
            digest: Digest::of(&ciphertext),
        }],
        requester: PublicKey::of(signer),
    };
    let order = cbor::encode(&order);
    if order.len() > MAX_ORDER {
        return Err(SealError::TooLarge { len: order.len() });
    }
    let signature = Signature::sign(
        signer,
        &SignedOrder::message(key_statement, &enc_digest, &order),
    );
    let order_digest = Digest::of(&order);
    let signed = cbor::encode(&SignedOrder { order, signature });
    let order = context
        .seal(&signed, labels::ORDER_AAD.as_bytes())
        .map_err(|_| SealError::Cipher)?;

    let sealed = SealedJob {
        v: sealed_job::VERSION,
        key_statement: *key_statement,
        enc,
        order,
        sections: vec![SealedSection { name, ciphertext }],
    };
    let len = sealed.encode().len();
    if len > MAX_CONTROL {
        return Err(SealError::TooLarge { len });
    }
    let secrets = SessionSecrets::of(&context, enc_digest).map_err(|_| SealError::Cipher)?;
    let session = RequesterSession {
        job: draft.job,
        enc: enc_digest,
        order: order_digest,
        secrets,
    };
    Ok((sealed, session))
}

/// Associated data of a section: tag ‖ name ‖ job ‖ SHA-256(enc). Names differ in their first
/// letter, what follows has a fixed length.
pub(crate) fn section_aad(name: Section, job: &JobId, enc: &Digest) -> Vec<u8> {
    [
        labels::SECTION_AAD.as_bytes(),
        name.name().as_bytes(),
        job.as_bytes(),
        enc.as_bytes(),
    ]
    .concat()
}
