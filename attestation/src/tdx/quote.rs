//! The quote: header, body, signature data (Intel TDX DCAP Quoting Library API, appendix A.3 for
//! version 4 and A.4 for version 5), read front to back with every length exact.
//!
//! Nothing here says that a quote is genuine. What it does say: that these bytes can be read in one
//! way only, so that no byte of an accepted quote is without meaning.

use duckblind_protocol::ids::Digest;

use super::body::TdBody;
use crate::evidence::MAX_REPORT;
use crate::reason::Reason;

/// `attestation_key_type` of ECDSA with P-256.
const ECDSA_P256: u16 = 2;
/// `tee_type` of SGX.
const SGX: u32 = 0;
/// `tee_type` of TDX.
const TDX: u32 = 0x81;
/// Intel's quoting enclaves.
const INTEL_QE: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
/// Certification data that is a report of the quoting enclave with certification data of its own.
const QE_REPORT: u16 = 6;
/// Certification data that is a chain of certificates.
const PCK_CHAIN: u16 = 5;
/// Bytes of a report of the quoting enclave.
const ENCLAVE_REPORT: usize = 384;
/// Bytes that a quoting enclave adds to what it signs its key with. Intel's have this many.
const AUTH_DATA: usize = 32;

/// Why bytes are no quote of a TDX guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// More bytes than any quote has.
    #[error("{0} bytes")]
    TooLong(usize),
    /// The bytes end before this part does.
    #[error("the bytes end within the {0}")]
    Truncated(&'static str),
    /// There are bytes after this part.
    #[error("{1} bytes after the {0}")]
    Trailing(&'static str, usize),
    /// A layout that this program does not know.
    #[error("version {0}")]
    Version(u16),
    /// A quote of an SGX enclave.
    #[error("a quote of an SGX enclave")]
    Sgx,
    /// A quote of something unknown.
    #[error("a quote of platform kind {0:#x}")]
    Tee(u32),
    /// Signed with a key of another kind.
    #[error("attestation key of kind {0}")]
    KeyType(u16),
    /// Not Intel's quoting enclave.
    #[error("a quoting enclave of another vendor")]
    Vendor,
    /// A body that this program does not know, or of the wrong length.
    #[error("body of kind {0} with {1} bytes")]
    Body(u16, u32),
    /// The quoting enclave's key is certified in another way.
    #[error("certification data of kind {0}")]
    Certification(u16),
    /// Of another length than Intel's quoting enclaves write.
    #[error("{0} bytes of authentication data")]
    AuthData(usize),
}

impl QuoteError {
    /// The kind of failure.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::TooLong(_) => Reason::Limit,
            Self::Version(_) => Reason::Version,
            Self::Sgx | Self::Tee(_) | Self::Vendor => Reason::Platform,
            _ => Reason::Format,
        }
    }
}

/// A quote of a TDX guest, as it says; none of it judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Layout: 4 or 5.
    pub version: u16,
    /// Chosen by the quoting enclave: the first 16 bytes name the machine's installation of it.
    pub user_data: [u8; 20],
    /// The guest.
    pub body: TdBody,
    /// SHA-256 of header and body, which is what is signed: an identity, as signatures have several
    /// valid forms.
    pub body_digest: Digest,
    /// What the quoting enclave is: an SGX report signed by the platform's key.
    pub qe_report: [u8; ENCLAVE_REPORT],
    /// Certificates of the platform's key, PEM.
    pub pck_chain: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads all of `raw`.
    pub fn parse(raw: &'a [u8]) -> Result<Self, QuoteError> {
        if raw.len() > MAX_REPORT {
            return Err(QuoteError::TooLong(raw.len()));
        }
        let r = &mut Reader(raw);
        let (version, user_data) = header(r)?;
        let body = body(r, version)?;
        let signed = raw.len() - r.0.len();
        let len = r.u32("signature data")?;
        let mut data = r.part("signature data", len)?;
        r.end("signature data")?;
        data.take("signature", 64)?;
        data.take("attestation key", 64)?;
        let mut certification = data.certification(QE_REPORT)?;
        data.end("certification data")?;
        let qe_report = certification.array("report of the quoting enclave")?;
        certification.take("signature of the quoting enclave's report", 64)?;
        let len = usize::from(certification.u16("authentication data")?);
        if len != AUTH_DATA {
            return Err(QuoteError::AuthData(len));
        }
        certification.take("authentication data", len)?;
        let chain = certification.certification(PCK_CHAIN)?;
        certification.end("certificates")?;
        Ok(Self {
            version,
            user_data,
            body,
            body_digest: Digest::of(raw.get(..signed).unwrap_or(raw)),
            qe_report,
            pck_chain: chain.0,
        })
    }
}

fn header(r: &mut Reader<'_>) -> Result<(u16, [u8; 20]), QuoteError> {
    const PART: &str = "header";
    let version = r.u16(PART)?;
    let key_type = r.u16(PART)?;
    let tee = r.u32(PART)?;
    // Versions of the quoting and the provisioning enclave, for SGX only.
    r.take(PART, 4)?;
    let vendor: [u8; 16] = r.array(PART)?;
    let user_data = r.array(PART)?;
    match tee {
        TDX => {}
        SGX => return Err(QuoteError::Sgx),
        other => return Err(QuoteError::Tee(other)),
    }
    if !matches!(version, 4 | 5) {
        return Err(QuoteError::Version(version));
    }
    if key_type != ECDSA_P256 {
        return Err(QuoteError::KeyType(key_type));
    }
    if vendor != INTEL_QE {
        return Err(QuoteError::Vendor);
    }
    Ok((version, user_data))
}

fn body(r: &mut Reader<'_>, version: u16) -> Result<TdBody, QuoteError> {
    const PART: &str = "body";
    let (kind, len) = if version == 4 {
        (TdBody::TD10, None)
    } else {
        (r.u16(PART)?, Some(r.u32(PART)?))
    };
    let real = TdBody::len(kind).ok_or(QuoteError::Body(kind, len.unwrap_or_default()))?;
    match len {
        Some(len) if usize::try_from(len) != Ok(real) => return Err(QuoteError::Body(kind, len)),
        _ => {}
    }
    let bytes = r.take(PART, real)?;
    TdBody::read(kind, bytes).ok_or(QuoteError::Truncated(PART))
}

/// Bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, part: &'static str, len: usize) -> Result<&'a [u8], QuoteError> {
        let (head, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(QuoteError::Truncated(part))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], QuoteError> {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .ok_or(QuoteError::Truncated(part))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self, part: &'static str) -> Result<u16, QuoteError> {
        self.array(part).map(u16::from_le_bytes)
    }

    fn u32(&mut self, part: &'static str) -> Result<u32, QuoteError> {
        self.array(part).map(u32::from_le_bytes)
    }

    fn part(&mut self, part: &'static str, len: u32) -> Result<Self, QuoteError> {
        let len = usize::try_from(len).map_err(|_| QuoteError::Truncated(part))?;
        self.take(part, len).map(Self)
    }

    /// Certification data of the one kind.
    fn certification(&mut self, kind: u16) -> Result<Self, QuoteError> {
        const PART: &str = "certification data";
        let got = self.u16(PART)?;
        if got != kind {
            return Err(QuoteError::Certification(got));
        }
        let len = self.u32(PART)?;
        self.part(PART, len)
    }

    const fn end(&self, part: &'static str) -> Result<(), QuoteError> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(QuoteError::Trailing(part, more)),
        }
    }
}

#[cfg(test)]
mod tests;
