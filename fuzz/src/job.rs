//! A job to seal and a key to seal it to.

use std::sync::LazyLock;

use duckblind_protocol::body::{self, QuerySection, SecretText};
use duckblind_protocol::hazmat::{RequesterSession, SealError, seal};
use duckblind_protocol::ids::{Digest, JobId, Ticket};
use duckblind_protocol::kem::KemSecret;
use duckblind_protocol::order::{Class, Limits, OrderDraft};
use duckblind_protocol::sealed_job::SealedJob;
use ed25519_dalek::SigningKey;

/// The key statement that jobs are sealed to.
pub const STATEMENT: Digest = Digest::from_bytes([9; 32]);

/// The enclave's key.
pub static SECRET: LazyLock<KemSecret> = LazyLock::new(|| KemSecret::generate().expect("a key"));

/// A job sealed to `kem_key`.
pub fn sealed_to(kem_key: &[u8]) -> Result<(SealedJob, RequesterSession), SealError> {
    let draft = OrderDraft {
        job: JobId::from_bytes([1; 16]),
        ticket: Ticket::from_bytes([2; 16]),
        class: Class::L0,
        limits: Limits {
            wall_ms: 1,
            memory_bytes: 1,
            result_bytes: 1,
            threads: 1,
        },
        expiry_ms: 1,
        endpoints: vec![],
        inputs: vec![],
    };
    let query = QuerySection {
        v: body::VERSION,
        sql: SecretText::new("SELECT 1".into()),
        inputs: vec![],
    };
    let signer = SigningKey::from_bytes(&[0x42; 32]);
    seal(kem_key, &STATEMENT, draft, &query, &signer)
}
