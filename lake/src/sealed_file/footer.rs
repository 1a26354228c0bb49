//! The end of a sealed file: magic, length, crypto metadata and the encrypted footer.

use aws_lc_rs::aead::LessSafeKey;
use duckblind_protocol::ids::Digest;
use zeroize::Zeroizing;

use super::aad::{Aad, MAX_FILE_AAD};
use super::crypto_metadata::{self, CryptoMetadata};
use super::error::LakeError;
use super::modules::{self, OVERHEAD};
use super::read::AadPrefix;
use super::source::ReadAt;
use crate::keys::DataKey;

/// Magic of a file with an encrypted footer, at both ends.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// Magic of an ordinary file, at both ends.
pub(super) const PLAIN: &[u8; 4] = b"PAR1";
/// The first magic.
pub(super) const HEAD: u64 = 4;
/// Footer length and the last magic.
const TAIL: usize = 8;
/// Largest encrypted footer, in bytes.
const MAX_FOOTER: usize = 256 << 20;

/// An authenticated, decrypted footer.
pub(super) struct OpenFooter {
    /// Thrift `FileMetaData`.
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// Where the stored footer began.
    pub(super) start: u64,
    /// SHA-256 from there to the end of the file.
    pub(super) digest: Digest,
    /// AAD prefix ‖ file-unique part.
    pub(super) file_aad: Vec<u8>,
    /// The key, expanded.
    pub(super) key: LessSafeKey,
}

/// Reads, checks and opens the footer.
pub(super) fn open(
    source: &dyn ReadAt,
    key: &DataKey,
    prefix: &AadPrefix,
    expected: Option<&Digest>,
) -> Result<OpenFooter, LakeError> {
    let (start, stored) = read(source)?;
    let digest = Digest::of(&stored);
    if let Some(expected) = expected
        && !expected.ct_eq(&digest)
    {
        return Err(LakeError::FooterDigest {
            expected: *expected,
            got: digest,
        });
    }
    let body = stored
        .get(..stored.len().saturating_sub(TAIL))
        .unwrap_or(&[]);
    let crypto = crypto_metadata::parse(body)?;
    let module = body.get(crypto.length..).unwrap_or(&[]);
    if modules::size(module) != Some(module.len()) {
        return Err(LakeError::CryptoForm("the footer does not fill its place"));
    }
    let file_aad = file_aad(&crypto, prefix)?;
    let aad = Aad::footer(&file_aad).ok_or(LakeError::CryptoForm("the AAD is too long"))?;
    let name = || key.label().to_owned();
    let aead = key
        .aead()
        .map_err(|_| LakeError::KeyLength { key: name() })?;
    let mut plaintext = Zeroizing::new(vec![0; module.len().saturating_sub(OVERHEAD)]);
    modules::open(&aead, module, aad.as_slice(), &mut plaintext)
        .ok_or_else(|| LakeError::KeyWrong { key: name() })?;
    Ok(OpenFooter {
        plaintext,
        start,
        digest,
        file_aad,
        key: aead,
    })
}

/// The stored footer, crypto metadata to last magic, and where it starts.
fn read(source: &dyn ReadAt) -> Result<(u64, Vec<u8>), LakeError> {
    let size = source.len();
    let mut head = [0; 4];
    let mut tail = [0; TAIL];
    let tail_at = size
        .checked_sub(TAIL as u64)
        .filter(|at| *at >= HEAD)
        .ok_or(LakeError::NotParquet)?;
    source.read_exact_at(&mut head, 0)?;
    source.read_exact_at(&mut tail, tail_at)?;
    let [l0, l1, l2, l3, magic @ ..] = tail;
    match (&head, &magic) {
        (ENCRYPTED, ENCRYPTED) => {}
        (PLAIN, PLAIN) => return Err(LakeError::Plaintext),
        (ENCRYPTED, _) => return Err(LakeError::Truncated),
        _ => return Err(LakeError::NotParquet),
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    let start = tail_at
        .checked_sub(length.into())
        .filter(|start| *start >= HEAD)
        .ok_or(LakeError::Truncated)?;
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_FOOTER)
        .ok_or(LakeError::CryptoForm("the footer is too large"))?;
    let mut stored = vec![0; length + TAIL];
    source.read_exact_at(&mut stored, start)?;
    Ok((start, stored))
}

fn file_aad(crypto: &CryptoMetadata<'_>, prefix: &AadPrefix) -> Result<Vec<u8>, LakeError> {
    let prefix = match (prefix, crypto.aad_prefix) {
        (AadPrefix::Supplied(ours), Some(stored)) if ours == stored => stored,
        (AadPrefix::Supplied(_), Some(_)) => {
            return Err(LakeError::AadPrefix("the file stores another one"));
        }
        (AadPrefix::Supplied(ours), None) if crypto.supply_aad_prefix => ours,
        (AadPrefix::Supplied(_), None) => {
            return Err(LakeError::AadPrefix("the file was written without one"));
        }
        (AadPrefix::Stored, Some(stored)) => stored,
        (AadPrefix::Stored, None) => return Err(LakeError::AadPrefix("the file stores none")),
        (AadPrefix::None, None) if !crypto.supply_aad_prefix => &[],
        (AadPrefix::None, _) => return Err(LakeError::AadPrefix("the file was written with one")),
    };
    if prefix.len() + crypto.aad_file_unique.len() > MAX_FILE_AAD {
        return Err(LakeError::CryptoForm("the AAD is too long"));
    }
    Ok([prefix, crypto.aad_file_unique].concat())
}
