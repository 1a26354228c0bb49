//! The certificates that a host hands to its SNP guests with each extended report (Guest
//! Hypervisor Communication Block specification, `SNP Extended Guest Request`): a list of
//! (GUID, offset, length), ended by zeros, then the certificates.

use crate::evidence::{Endorsements, MAX_COLLATERAL};
use crate::snp::report::SigningKey;

const VCEK: [u8; 16] = [
    0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd,
];
const VLEK: [u8; 16] = [
    0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1,
];
const ASK: [u8; 16] = [
    0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82,
];
const ARK: [u8; 16] = [
    0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae,
];
/// The root's revocation list, which newer hosts add.
const CRL: [u8; 16] = [
    0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d, 0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea,
];
/// Entries that a table may have; hosts send a handful.
const MAX_ENTRIES: usize = 32;

/// Not a certificate table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate table")]
pub struct BadTable;

/// Reads the table; the chip key's certificate is that of the kind of key that signed the report.
pub fn read(table: &[u8], signed_by: SigningKey) -> Result<Endorsements, BadTable> {
    let mut found = Endorsements::default();
    if table.len() > MAX_COLLATERAL {
        return Err(BadTable);
    }
    let vek = match signed_by {
        SigningKey::Vlek => VLEK,
        SigningKey::Vcek | SigningKey::Other(_) => VCEK,
    };
    let mut rest = table;
    for _ in 0..MAX_ENTRIES {
        let (guid, tail) = rest.split_first_chunk::<16>().ok_or(BadTable)?;
        let (offset, tail) = tail.split_first_chunk::<4>().ok_or(BadTable)?;
        let (len, tail) = tail.split_first_chunk::<4>().ok_or(BadTable)?;
        rest = tail;
        if *guid == [0; 16] {
            return Ok(found);
        }
        let place = match *guid {
            one if one == vek => &mut found.vek,
            ASK => &mut found.ask,
            ARK => &mut found.ark,
            CRL => &mut found.crl,
            _ => continue,
        };
        let start = usize::try_from(u32::from_le_bytes(*offset)).map_err(|_| BadTable)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| BadTable)?;
        let end = start.checked_add(len).ok_or(BadTable)?;
        let der = table.get(start..end).ok_or(BadTable)?;
        if der.is_empty() || place.is_some() {
            return Err(BadTable);
        }
        *place = Some(der.to_vec());
    }
    Err(BadTable)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table with these entries, as a host would write it.
    pub(crate) fn table(entries: &[([u8; 16], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut offset = 24 * (entries.len() + 1);
        for (guid, der) in entries {
            bytes.extend(guid);
            bytes.extend(u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(u32::try_from(der.len()).unwrap_or(u32::MAX).to_le_bytes());
            offset += der.len();
        }
        bytes.extend([0; 24]);
        for (_, der) in entries {
            bytes.extend(*der);
        }
        bytes
    }

    /// A whole chain, as a host would supply it.
    pub(crate) fn chain() -> Vec<u8> {
        table(&[
            (ARK, b"ark"),
            (ASK, b"ask"),
            (CRL, b"crl"),
            ([9; 16], b"other"),
            (VCEK, b"vcek"),
            (VLEK, b"vlek"),
        ])
    }

    #[test]
    fn the_key_that_signed() {
        let by = |key| read(&chain(), key).map(|found| found.vek);
        assert_eq!(by(SigningKey::Vcek), Ok(Some(b"vcek".to_vec())));
        assert_eq!(by(SigningKey::Vlek), Ok(Some(b"vlek".to_vec())));
        let found = read(&chain(), SigningKey::Vcek);
        assert_eq!(
            found.map(|found| (found.ask, found.ark, found.crl)),
            Ok((
                Some(b"ask".to_vec()),
                Some(b"ark".to_vec()),
                Some(b"crl".to_vec())
            ))
        );
    }

    #[test]
    fn malformed_tables() {
        let mut outside = table(&[(ARK, b"ark")]);
        outside.truncate(outside.len() - 1);
        let endless = [7; 24 * 40];
        let malformed: [&[u8]; 5] = [
            &[],
            &[0; 23],
            &outside,
            &endless,
            &table(&[(ARK, b"one"), (ARK, b"two")]),
        ];
        for bytes in malformed {
            assert_eq!(read(bytes, SigningKey::Vcek), Err(BadTable));
        }
        assert_eq!(read(&table(&[(ARK, b"")]), SigningKey::Vcek), Err(BadTable));
        assert_eq!(
            read(&vec![0; MAX_COLLATERAL + 1], SigningKey::Vcek),
            Err(BadTable)
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, SigningKey::Vcek);
        }

        #[test]
        fn hostile_entries_never_panic(offset: u32, len: u32) {
            let mut bytes = ARK.to_vec();
            bytes.extend(offset.to_le_bytes());
            bytes.extend(len.to_le_bytes());
            bytes.extend([0; 64]);
            let _ = read(&bytes, SigningKey::Vcek);
        }
    }
}
