//! Files with evidence, told apart by what is in them.

use std::path::{Path, PathBuf};

use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::inputs::{MAX_INPUTS, RecordedInputs};
use duckblind_attestation::snp::report::REPORT_LEN;
use duckblind_protocol::coded::{Coded, Exit};

use super::super::failure::Failure;
use crate::client::Presented;
use crate::error::RequesterError;
use crate::files;
use crate::receipt::SavedReceipt;

/// Bytes that any of these files may have; hex digits take two each.
const MAX_FILE: usize = 2 * MAX_INPUTS + 2;

/// What a file holds.
#[derive(Debug)]
pub(super) enum EvidenceFile {
    /// A raw attestation report.
    SnpReport(Vec<u8>),
    /// A raw quote; whether of a TDX guest, it must be parsed to see.
    Quote(Vec<u8>),
    /// An evidence envelope, and its bytes.
    Envelope(Vec<u8>, Box<Evidence>),
    /// A saved receipt.
    Receipt(Box<SavedReceipt>),
    /// Recorded inputs of an appraisal.
    Inputs(Box<RecordedInputs>),
    /// A bundle of the vendors' documents.
    Bundle(Box<Endorsements>),
}

/// A file that is none of these.
#[derive(Debug, thiserror::Error)]
#[error("{} holds no evidence that is known here", path.display())]
pub(super) struct UnknownFile {
    path: PathBuf,
    got: String,
}

impl Coded for UnknownFile {
    fn code(&self) -> &'static str {
        "DB-REQ-100"
    }
    fn exit(&self) -> Exit {
        Exit::Malformed
    }
    fn expected(&self) -> Option<String> {
        Some(
            "a saved receipt, an evidence envelope, recorded inputs, a bundle, a report of 1184 \
             bytes or a TDX quote"
                .into(),
        )
    }
    fn got(&self) -> Option<String> {
        Some(self.got.clone())
    }
    fn hint(&self) -> Option<String> {
        Some("raw reports and quotes are taken as they come, or as hex digits".into())
    }
}

impl EvidenceFile {
    /// Reads a file. Its name does not matter.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let cap = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
        let bytes = files::read_bytes(path, cap).map_err(RequesterError::from)?;
        Self::recognise(path, unhexed(bytes))
    }

    /// What a host presents: its envelope, with the documents that the verifier added.
    pub(super) fn of_presented(presented: &Presented) -> Result<Self, Failure> {
        let bytes = presented.evidence.clone();
        let mut evidence = Evidence::decode(&bytes)?;
        evidence.endorsements = presented.endorsements.or(&evidence.endorsements);
        Ok(Self::Envelope(bytes, Box::new(evidence)))
    }

    fn recognise(path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        let unknown = |got: String| UnknownFile {
            path: path.to_owned(),
            got,
        };
        match kind(&bytes) {
            Kind::Json => Ok(Self::Receipt(Box::new(SavedReceipt::parse(&bytes)?))),
            Kind::Report => Ok(Self::SnpReport(bytes)),
            Kind::Quote => Ok(Self::Quote(bytes)),
            Kind::Cbor => {
                let envelope = match Evidence::decode(&bytes) {
                    Ok(evidence) => return Ok(Self::Envelope(bytes, Box::new(evidence))),
                    Err(error) => error,
                };
                if let Ok(bundle) = Endorsements::decode(&bytes) {
                    return Ok(Self::Bundle(Box::new(bundle)));
                }
                match RecordedInputs::decode(&bytes) {
                    Ok(inputs) => Ok(Self::Inputs(Box::new(inputs))),
                    // Inputs have seven members, envelopes eight or nine.
                    Err(error) if bytes.first() == Some(&0xa7) => Err(error.into()),
                    Err(_) => Err(envelope.into()),
                }
            }
            Kind::Unknown => Err(unknown(match bytes.len() {
                0 => "nothing".into(),
                len => format!("{len} other bytes"),
            })
            .into()),
        }
    }
}

/// What bytes look like.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Report,
    Quote,
    Cbor,
    Unknown,
}

fn kind(bytes: &[u8]) -> Kind {
    // Reports and quotes begin with a small version number, little-endian: of four bytes, or of two
    // and followed by the kind of the key, which is 2 or 3.
    match bytes {
        [1..=31, 0, 0, 0, ..] if bytes.len() == REPORT_LEN => Kind::Report,
        [1..=31, 0, 2 | 3, 0, _, 0, 0, 0, ..] => Kind::Quote,
        [0xa0..=0xbf, ..] => Kind::Cbor,
        _ if bytes.trim_ascii_start().first() == Some(&b'{') => Kind::Json,
        _ => Kind::Unknown,
    }
}

/// Hex digits as the bytes that they stand for; anything else as it is.
pub(super) fn unhexed(bytes: Vec<u8>) -> Vec<u8> {
    let text = bytes.trim_ascii();
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if digits.is_empty() {
        return bytes;
    }
    hex::decode(digits).unwrap_or(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> (&'static str, Exit) {
        let failure = EvidenceFile::recognise(Path::new("x"), bytes.to_vec())
            .err()
            .unwrap();
        (failure.coded().code(), failure.exit())
    }

    #[test]
    fn told_apart_by_content() {
        let mut report = vec![0; REPORT_LEN];
        report[0] = 3;
        assert_eq!(kind(&report), Kind::Report);
        assert_eq!(kind(&[4, 0, 2, 0, 0x81, 0, 0, 0, 1]), Kind::Quote);
        assert_eq!(kind(&[5, 0, 2, 0, 0x81, 0, 0, 0, 1]), Kind::Quote);
        assert_eq!(kind(b" \n{}"), Kind::Json);
        assert_eq!(kind(&[0xa7, 1]), Kind::Cbor);
        assert_eq!(kind(&[]), Kind::Unknown);
        report.push(0);
        assert_eq!(kind(&report), Kind::Unknown);
    }

    #[test]
    fn hex_digits_count_as_bytes() {
        assert_eq!(unhexed(b"0x0400\n".to_vec()), [4, 0]);
        assert_eq!(unhexed(b"0400".to_vec()), [4, 0]);
        assert_eq!(unhexed(b"0x".to_vec()), b"0x");
        assert_eq!(unhexed(b"{}".to_vec()), b"{}");
        let report = hex::encode([[3].as_slice(), &[0; REPORT_LEN - 1]].concat());
        let found = EvidenceFile::recognise(Path::new("x"), unhexed(report.into_bytes()));
        assert!(matches!(found, Ok(EvidenceFile::SnpReport(_))));
    }

    #[test]
    fn what_is_none_is_refused_by_name() {
        for bytes in [&b""[..], b"hello", &[3, 0, 0, 0], &[0xff; REPORT_LEN]] {
            assert_eq!(code(bytes), ("DB-REQ-100", Exit::Malformed));
        }
        assert_eq!(code(b"{}").0, "DB-REQ-080");
        // CBOR that is no canonical envelope.
        assert_eq!(code(&[0xa8, 1]).1, Exit::Malformed);
        assert_eq!(code(&[0xa7, 1]).1, Exit::Malformed);
    }

    #[test]
    fn an_empty_bundle_is_one() {
        let found = EvidenceFile::recognise(Path::new("x"), vec![0xa0]);
        assert!(matches!(found, Ok(EvidenceFile::Bundle(_))));
    }
}
