//! `FileCryptoMetaData`: the clear words in front of an encrypted footer.

use super::error::LakeError;
use super::thrift::{BadThrift, Compact, kind};

/// Longest AAD prefix and longest file-unique part, in bytes.
const MAX_PART: usize = 256;
/// Longest key metadata, in bytes.
const MAX_KEY_METADATA: usize = 64 * 1024;

/// What the file says about its own encryption, not authenticated by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CryptoMetadata<'a> {
    /// The AAD prefix, if the file carries it.
    pub(super) aad_prefix: Option<&'a [u8]>,
    /// The part of the AAD that the writer drew at random.
    pub(super) aad_file_unique: &'a [u8],
    /// Whether the reader must bring the AAD prefix.
    pub(super) supply_aad_prefix: bool,
    /// How many bytes the structure took.
    pub(super) length: usize,
}

/// Reads the structure from the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<CryptoMetadata<'_>, LakeError> {
    let malformed = |_: BadThrift| LakeError::CryptoForm("not well-formed");
    let mut read = Compact::new(bytes);
    let mut algorithm = None;
    let mut last = 0;
    while let Some(field) = read.field(last).map_err(malformed)? {
        match (field.id, field.kind) {
            (1, kind::STRUCT) if algorithm.is_none() => {
                algorithm = Some(parse_algorithm(&mut read)?);
            }
            (2, kind::BINARY) => {
                read.binary(MAX_KEY_METADATA).map_err(malformed)?;
            }
            _ => return Err(LakeError::CryptoForm("a field that does not belong there")),
        }
        last = field.id;
    }
    let gcm = algorithm.ok_or(LakeError::CryptoForm("no algorithm"))?;
    Ok(CryptoMetadata {
        length: read.at(),
        ..gcm
    })
}

fn parse_algorithm<'a>(read: &mut Compact<'a>) -> Result<CryptoMetadata<'a>, LakeError> {
    let malformed = |_: BadThrift| LakeError::CryptoForm("not well-formed");
    let Some(chosen) = read.field(0).map_err(malformed)? else {
        return Err(LakeError::CryptoForm("no algorithm"));
    };
    match (chosen.id, chosen.kind) {
        (1, kind::STRUCT) => {}
        (2, kind::STRUCT) => return Err(LakeError::Algorithm("AES_GCM_CTR_V1")),
        _ => return Err(LakeError::Algorithm("an unknown algorithm")),
    }
    let mut found = CryptoMetadata {
        aad_prefix: None,
        aad_file_unique: &[],
        supply_aad_prefix: false,
        length: 0,
    };
    let mut last = 0;
    while let Some(field) = read.field(last).map_err(malformed)? {
        match (field.id, field.kind) {
            (1, kind::BINARY) => found.aad_prefix = Some(read.binary(MAX_PART).map_err(malformed)?),
            (2, kind::BINARY) => {
                found.aad_file_unique = read.binary(MAX_PART).map_err(malformed)?;
            }
            (3, kind::TRUE) => found.supply_aad_prefix = true,
            (3, kind::FALSE) => found.supply_aad_prefix = false,
            _ => return Err(LakeError::CryptoForm("a field that does not belong there")),
        }
        last = field.id;
    }
    if read.field(chosen.id).map_err(malformed)?.is_some() {
        return Err(LakeError::CryptoForm("two algorithms"));
    }
    Ok(found)
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
                aad_prefix: Some(b"ab"),
                aad_file_unique: b"xyz",
                supply_aad_prefix: false,
                length: FULL.len() - 1,
            }
        );
        for cut in 0..found.length {
            assert!(parse(&FULL[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn other_algorithms_are_named() {
        assert_eq!(
            parse(b"\x1c\x2c\x00\x00\x00"),
            Err(LakeError::Algorithm("AES_GCM_CTR_V1"))
        );
        assert!(matches!(
            parse(b"\x1c\x3c\x00\x00\x00"),
            Err(LakeError::Algorithm(_))
        ));
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
        }
    }
}
