//! The end of a sealed file: magic, length and the footer, encrypted or in the clear and signed.

use duckblind_protocol::ids::Digest;
use zeroize::Zeroizing;

use super::aad::{Aad, MAX_FILE_AAD};
use super::cipher::Cipher;
use super::crypto_metadata::{self, CryptoMetadata};
use super::error::LakeError;
use super::file_metadata;
use super::modules::{self, OVERHEAD};
use super::source::ReadAt;
use super::spec::AadPrefix;
use crate::keys::DataKey;
use crate::manifest::Algorithm;

/// Magic of a file with an encrypted footer, at both ends.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// Magic of an ordinary file, at both ends.
pub(super) const PLAIN: &[u8; 4] = b"PAR1";
/// The first magic.
pub(super) const HEAD: u64 = 4;
/// Footer length and the last magic.
const TAIL: usize = 8;
/// Largest footer, in bytes.
const MAX_FOOTER: usize = 256 << 20;
/// Nonce and tag behind a footer in the clear.
const SIGNATURE: usize = 28;

/// A footer as stored.
pub(super) struct Stored {
    /// Whether it is encrypted.
    pub(super) encrypted: bool,
    /// Where it begins.
    pub(super) start: u64,
    /// From there to the end of the file.
    bytes: Vec<u8>,
}

/// An authenticated footer.
pub(super) struct OpenFooter {
    /// Thrift `FileMetaData`.
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// Where the stored footer began.
    pub(super) start: u64,
    /// SHA-256 from there to the end of the file.
    pub(super) digest: Digest,
    /// How pages are encrypted.
    pub(super) algorithm: Algorithm,
    /// AAD prefix ‖ file-unique part.
    pub(super) file_aad: Vec<u8>,
    /// The key, if it is there.
    pub(super) key: Option<Cipher>,
}

/// Reads, checks and opens the footer. One in the clear needs a key or an expected digest.
pub(super) fn open(
    source: &dyn ReadAt,
    key: Option<&DataKey>,
    prefix: &AadPrefix,
    expected: Option<&Digest>,
) -> Result<OpenFooter, LakeError> {
    let stored = read(source)?;
    let digest = Digest::of(&stored.bytes);
    if let Some(expected) = expected
        && !expected.ct_eq(&digest)
    {
        return Err(LakeError::FooterDigest {
            expected: *expected,
            got: digest,
        });
    }
    let (crypto, rest) = stored.crypto()?;
    if !stored.encrypted && rest.len() != SIGNATURE {
        return Err(LakeError::CryptoForm("no signature behind the footer"));
    }
    if stored.encrypted && modules::size(rest) != Some(rest.len()) {
        return Err(LakeError::CryptoForm("the footer does not fill its place"));
    }
    let file_aad = file_aad(&crypto, prefix)?;
    let aad = Aad::footer(&file_aad).ok_or(LakeError::CryptoForm("the AAD is too long"))?;
    let key = key
        .map(|key| Cipher::new(key, crypto.algorithm == Algorithm::GcmCtr))
        .transpose()?;
    let plaintext = match &key {
        Some(key) if stored.encrypted => {
            let mut plaintext = vec![0; rest.len().saturating_sub(OVERHEAD)];
            key.open(rest, aad.as_slice(), &mut plaintext)
                .ok_or_else(|| LakeError::KeyWrong {
                    key: key.label().into(),
                })?;
            plaintext
        }
        None if stored.encrypted => return Err(LakeError::FooterKeyMissing),
        Some(key) => {
            let footer = stored.clear(crypto.length);
            if key.signed(footer, &aad, rest) != Some(true) {
                return Err(LakeError::FooterSignature {
                    key: key.label().into(),
                });
            }
            footer.to_vec()
        }
        None if expected.is_some() => stored.clear(crypto.length).to_vec(),
        None => return Err(LakeError::FooterKeyMissing),
    };
    Ok(OpenFooter {
        plaintext: Zeroizing::new(plaintext),
        start: stored.start,
        digest,
        algorithm: crypto.algorithm,
        file_aad,
        key,
    })
}

impl Stored {
    /// What the footer says of its encryption, and what comes behind that: the encrypted module, or
    /// the signature.
    pub(super) fn crypto(&self) -> Result<(CryptoMetadata<'_>, &[u8]), LakeError> {
        let body = self.body();
        let found = if self.encrypted {
            crypto_metadata::parse(body)?
        } else {
            let footer = file_metadata::parse(body).map_err(LakeError::bad_footer)?;
            let algorithm = footer.algorithm.ok_or(LakeError::Plaintext)?;
            CryptoMetadata {
                length: footer.length,
                ..crypto_metadata::parse_signed(algorithm, footer.key_metadata)?
            }
        };
        let rest = body.get(found.length..).unwrap_or(&[]);
        Ok((found, rest))
    }

    /// All but length and magic.
    pub(super) fn body(&self) -> &[u8] {
        self.clear(self.bytes.len().saturating_sub(TAIL))
    }

    fn clear(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or(&[])
    }
}

/// Finds the stored footer.
pub(super) fn read(source: &dyn ReadAt) -> Result<Stored, LakeError> {
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
    let encrypted = match (&head, &magic) {
        (ENCRYPTED, ENCRYPTED) => true,
        (PLAIN, PLAIN) => false,
        (ENCRYPTED | PLAIN, _) => return Err(LakeError::Truncated),
        _ => return Err(LakeError::NotParquet),
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    let start = tail_at
        .checked_sub(length.into())
        .filter(|start| *start >= HEAD)
        .ok_or(LakeError::Truncated)?;
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_FOOTER)
        .ok_or(LakeError::CryptoForm("the footer is too large"))?;
    let mut bytes = vec![0; length + TAIL];
    source.read_exact_at(&mut bytes, start)?;
    // The source may change between two reads: what counts is what was read here.
    if bytes.last_chunk::<TAIL>() != Some(&tail) {
        return Err(LakeError::Truncated);
    }
    Ok(Stored {
        encrypted,
        start,
        bytes,
    })
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
