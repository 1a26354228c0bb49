//! Deterministic CBOR (RFC 8949, section 4.2.1): one encoder, one decoder.
//!
//! A derived `minicbor` decoder skips unknown keys and takes the last of two equal ones, so a
//! decoded value is encoded again and must give the same bytes: every value has one encoding.

use minicbor::{Decode, Encode};

use crate::coded::{Coded, Exit};

/// Bytes that are not the canonical encoding of the wanted type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than this message may have.
    #[error("message too long")]
    TooLong {
        /// Bytes allowed.
        cap: usize,
        /// Bytes that came.
        len: usize,
    },
    /// Not CBOR of this shape.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// Bytes after the end.
    #[error("bytes after the end of a message")]
    Trailing,
    /// Unknown or duplicate keys, long forms, wrong order.
    #[error("message is not in canonical form")]
    NotCanonical,
    /// A version of this message that this program does not know.
    #[error("unknown version {got} of {what}")]
    Version {
        /// Which message.
        what: &'static str,
        /// The version that this program speaks.
        known: u8,
        /// The version that came.
        got: u8,
    },
    /// Right shape, but a value that the definition excludes.
    #[error("invalid message: {0}")]
    Invalid(&'static str),
}

impl Coded for DecodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "DB-PRO-010",
            Self::Malformed(_) => "DB-PRO-011",
            Self::Trailing => "DB-PRO-012",
            Self::NotCanonical => "DB-PRO-013",
            Self::Version { .. } => "DB-PRO-014",
            Self::Invalid(_) => "DB-PRO-015",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Version { .. } => Exit::Unsupported,
            _ => Exit::Malformed,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::TooLong { cap, .. } => Some(format!("at most {cap} bytes")),
            Self::Version { known, .. } => Some(format!("version {known}")),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::TooLong { len, .. } => Some(format!("{len} bytes")),
            Self::Version { got, .. } => Some(format!("version {got}")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Version { .. } => {
                Some("the two ends run different releases: update the older one".into())
            }
            _ => None,
        }
    }
}

/// The canonical encoding.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a Vec cannot fail and no encoder of this crate returns an error of its own.
    match minicbor::encode(value, &mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Decodes a message of at most `cap` bytes; anything but its canonical encoding is refused.
pub fn decode<'b, T>(bytes: &'b [u8], cap: usize) -> Result<T, DecodeError>
where
    T: Decode<'b, ()> + Encode<()>,
{
    if bytes.len() > cap {
        return Err(DecodeError::TooLong {
            cap,
            len: bytes.len(),
        });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value: T = decoder
        .decode()
        .map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if decoder.position() != bytes.len() {
        return Err(DecodeError::Trailing);
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Refuses a message whose version is not `known`.
pub fn check_version(what: &'static str, known: u8, got: u8) -> Result<(), DecodeError> {
    if got == known {
        Ok(())
    } else {
        Err(DecodeError::Version { what, known, got })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Pair {
        #[n(0)]
        a: u32,
        #[n(1)]
        b: Option<u32>,
    }

    #[test]
    fn only_the_canonical_form() {
        assert_eq!(encode(&Pair { a: 1, b: None }), [0xa1, 0, 1]);
        assert!(decode::<Pair>(&[0xa1, 0, 1], 16).is_ok());
        let refused: [&[u8]; 7] = [
            &[0xa2, 0, 1, 2, 0],    // unknown key
            &[0xa2, 0, 1, 0, 1],    // duplicate key
            &[0xa2, 1, 1, 0, 1],    // keys out of order
            &[0xa1, 0, 0x18, 1],    // long form
            &[0xbf, 0, 1, 0xff],    // indefinite length
            &[0xa1, 0, 1, 0],       // trailing
            &[0xa2, 0, 1, 1, 0xf6], // explicit null
        ];
        for bytes in refused {
            assert!(decode::<Pair>(bytes, 16).is_err(), "{bytes:x?}");
        }
        assert!(matches!(
            decode::<Pair>(&[0xa1, 0, 1], 2),
            Err(DecodeError::TooLong { .. })
        ));
    }
}
