//! What a file says in the clear about its encryption: `FileCryptoMetaData` in front of an
//! encrypted footer, `EncryptionAlgorithm` inside a signed one.

use super::error::LakeError;
use super::thrift::{BadThrift, Compact, kind};
use crate::manifest::Algorithm;

/// Longest AAD prefix and longest file-unique part, in bytes.
const MAX_PART: usize = 256;
/// Longest key metadata, in bytes.
const MAX_KEY_METADATA: usize = 64 * 1024;

/// What the file says about its own encryption, not authenticated by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CryptoMetadata<'a> {
    /// How pages are encrypted.
    pub(super) algorithm: Algorithm,
    /// The AAD prefix, if the file carries it.
    pub(super) aad_prefix: Option<&'a [u8]>,
    /// The part of the AAD that the writer drew at random.
    pub(super) aad_file_unique: &'a [u8],
    /// Whether the reader must bring the AAD prefix.
    pub(super) supply_aad_prefix: bool,
    /// What the writer says of the footer's key.
    pub(super) key_metadata: Option<&'a [u8]>,
    /// How many bytes the structure took.
    pub(super) length: usize,
}

/// Reads `FileCryptoMetaData` from the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<CryptoMetadata<'_>, LakeError> {
    let mut read = Compact::new(bytes);
    let mut algorithm = None;
    let mut key_metadata = None;
    let mut last = 0;
    while let Some(field) = read.next(&mut last).map_err(malformed)? {
        match (field.id, field.kind) {
            (1, kind::STRUCT) => algorithm = Some(parse_algorithm(&mut read)?),
            (2, kind::BINARY) => {
                key_metadata = Some(read.binary(MAX_KEY_METADATA).map_err(malformed)?);
            }
            _ => return Err(LakeError::CryptoForm("a field that does not belong there")),
        }
    }
    let algorithm = algorithm.ok_or(LakeError::CryptoForm("no algorithm"))?;
    Ok(CryptoMetadata {
        key_metadata,
        length: read.at(),
        ..algorithm
    })
}

/// Reads `EncryptionAlgorithm`, which must be all of `bytes`.
pub(super) fn parse_signed<'a>(
    bytes: &'a [u8],
    key_metadata: Option<&'a [u8]>,
) -> Result<CryptoMetadata<'a>, LakeError> {
    let mut read = Compact::new(bytes);
    let found = parse_algorithm(&mut read)?;
    if read.at() != bytes.len() {
        return Err(LakeError::CryptoForm("not well-formed"));
    }
    Ok(CryptoMetadata {
        key_metadata,
        ..found
    })
}

fn parse_algorithm<'a>(read: &mut Compact<'a>) -> Result<CryptoMetadata<'a>, LakeError> {
    let Some(chosen) = read.field(0).map_err(malformed)? else {
        return Err(LakeError::CryptoForm("no algorithm"));
    };
    let mut found = CryptoMetadata {
        algorithm: match (chosen.id, chosen.kind) {
            (1, kind::STRUCT) => Algorithm::Gcm,
            (2, kind::STRUCT) => Algorithm::GcmCtr,
            _ => return Err(LakeError::Algorithm),
        },
        aad_prefix: None,
        aad_file_unique: &[],
        supply_aad_prefix: false,
        key_metadata: None,
        length: 0,
    };
    let mut last = 0;
    while let Some(field) = read.next(&mut last).map_err(malformed)? {
        match (field.id, field.kind) {
            (1, kind::BINARY) => found.aad_prefix = Some(read.binary(MAX_PART).map_err(malformed)?),
            (2, kind::BINARY) => {
                found.aad_file_unique = read.binary(MAX_PART).map_err(malformed)?;
            }
            (3, kind::TRUE) => found.supply_aad_prefix = true,
            (3, kind::FALSE) => found.supply_aad_prefix = false,
            _ => return Err(LakeError::CryptoForm("a field that does not belong there")),
        }
    }
    if read.field(chosen.id).map_err(malformed)?.is_some() {
        return Err(LakeError::CryptoForm("two algorithms"));
    }
    Ok(found)
}

fn malformed(_: BadThrift) -> LakeError {
    LakeError::CryptoForm("not well-formed")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// GCM with stored prefix "ab", unique part "xyz", key metadata "k", then a byte of the module.
    const FULL: &[u8] = b"\x1c\x1c\x18\x02ab\x18\x03xyz\x12\x00\x00\x18\x01k\x00\xff";

    #[test]
    fn all_fields() {
        let found = parse(FULL).unwrap();
        assert_eq!(
            found,
            CryptoMetadata {
                algorithm: Algorithm::Gcm,
                aad_prefix: Some(b"ab"),
                aad_file_unique: b"xyz",
                supply_aad_prefix: false,
                key_metadata: Some(b"k"),
                length: FULL.len() - 1,
            }
        );
        for cut in 0..found.length {
            assert!(parse(&FULL[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn there_are_two_algorithms() {
        let ctr = parse(b"\x1c\x2c\x00\x00\x00").unwrap();
        assert_eq!(ctr.algorithm, Algorithm::GcmCtr);
        assert_eq!(parse(b"\x1c\x3c\x00\x00\x00"), Err(LakeError::Algorithm));
        assert!(matches!(
            parse(b"\x1c\x00\x00"),
            Err(LakeError::CryptoForm(_))
        ));
        assert!(matches!(parse(b"\x00"), Err(LakeError::CryptoForm(_))));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(found) = parse(&bytes) {
                prop_assert!(found.length <= bytes.len());
            }
            let _ = parse_signed(&bytes, None);
        }
    }
}
