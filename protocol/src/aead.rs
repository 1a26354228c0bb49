//! AES-256-GCM with a counter as nonce: the one way sealed messages follow each other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes that sealing adds.
pub(crate) const TAG_LEN: usize = 16;

/// The AEAD refused: wrong key, wrong place in the sequence, or changed bytes.
#[derive(Debug)]
pub(crate) struct Refused;

fn key(bytes: &[u8; 32]) -> Result<LessSafeKey, Refused> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| Refused)
}

fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    let (_, low) = bytes.split_at_mut(NONCE_LEN - 8);
    low.copy_from_slice(&sequence.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// One direction of a sealed channel. Each message takes the next number as its nonce, so a
/// message dropped, repeated, moved or taken from another channel does not open.
pub(crate) struct Channel {
    key: LessSafeKey,
    aad: Vec<u8>,
    next: u64,
}

impl Channel {
    pub(crate) fn new(bytes: &[u8; 32], aad: &[&[u8]]) -> Result<Self, Refused> {
        Ok(Self {
            key: key(bytes)?,
            aad: aad.concat(),
            next: 0,
        })
    }

    fn advance(&mut self) -> Result<Nonce, Refused> {
        let sequence = self.next;
        self.next = sequence.checked_add(1).ok_or(Refused)?;
        Ok(nonce(sequence))
    }

    /// Seals in place and appends the tag.
    pub(crate) fn seal(&mut self, message: &mut Vec<u8>) -> Result<(), Refused> {
        let nonce = self.advance()?;
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(&self.aad), message)
            .map_err(|_| Refused)
    }

    /// Opens in place and cuts the tag off. After a refusal the channel is spent.
    pub(crate) fn open(&mut self, message: &mut Vec<u8>) -> Result<(), Refused> {
        let nonce = self.advance()?;
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(&self.aad), message)
            .map(|plaintext| plaintext.len());
        if let Ok(len) = opened {
            message.truncate(len);
            return Ok(());
        }
        self.next = u64::MAX;
        Err(Refused)
    }
}

/// Seals one message under a key that is used once, nonce 0.
pub(crate) fn seal_once(
    bytes: &[u8; 32],
    aad: &[&[u8]],
    message: &mut Vec<u8>,
) -> Result<(), Refused> {
    Channel::new(bytes, aad)?.seal(message)
}

/// Opens what [`seal_once`] sealed.
pub(crate) fn open_once(
    bytes: &[u8; 32],
    aad: &[&[u8]],
    message: &mut Vec<u8>,
) -> Result<(), Refused> {
    Channel::new(bytes, aad)?.open(message)
}
