//! The attestation report: 1184 bytes, read front to back (SEV-SNP Firmware ABI, table
//! `ATTESTATION_REPORT`, versions 2 to 5).
//!
//! The signature covers the raw bytes before it. Nothing here is re-encoded to check it.

use std::ops::RangeInclusive;

use duckblind_protocol::ids::Digest;

pub use super::firmware::Firmware;
use crate::measurement::Measurement;
use crate::snp::Generation;

/// Layout versions that are known. 2 has neither processor nor mitigation fields, 5 has both.
pub const VERSIONS: RangeInclusive<u32> = 2..=5;
/// Bytes of a report, signature included.
pub const REPORT_LEN: usize = 1184;
/// Bytes that the signature covers.
pub const SIGNED_LEN: usize = 0x2a0;
/// `signature_algo` of ECDSA P-384 with SHA-384.
pub const ECDSA_P384_SHA384: u32 = 1;
/// Bytes of one number of a signature as the report stores it, little-endian.
const SCALAR_FIELD: usize = 72;
/// Bytes of such a number that can be other than zero.
const SCALAR: usize = 48;

/// Not a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes")]
pub struct WrongSize(pub usize);

/// Which key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The chip's own, endorsed per firmware version.
    Vcek,
    /// One that AMD gives to a cloud.
    Vlek,
    /// None, or of a kind that the specification does not define.
    Other(u8),
}

impl SigningKey {
    /// Those that the specification defines.
    pub const KNOWN: &'static [Self] = &[Self::Vcek, Self::Vlek];

    /// The name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::Vlek => "vlek",
            Self::Other(_) => "other",
        }
    }
}

impl std::fmt::Display for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vcek => f.write_str("VCEK"),
            Self::Vlek => f.write_str("VLEK"),
            Self::Other(number) => write!(f, "key kind {number}"),
        }
    }
}

/// A report's fields, in its order. What the hardware says, none of it judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Layout version.
    pub version: u32,
    /// Chosen by the guest's owner.
    pub guest_svn: u32,
    /// The guest's launch policy.
    pub policy: GuestPolicy,
    /// Chosen by the guest's owner.
    pub family_id: [u8; 16],
    /// Chosen by the guest's owner.
    pub image_id: [u8; 16],
    /// Privilege level that asked.
    pub vmpl: u32,
    /// See [`ECDSA_P384_SHA384`].
    pub sig_algo: u32,
    /// Firmware that runs.
    pub current_tcb: [u8; 8],
    /// Platform switches.
    pub platform_info: u64,
    /// Key kind and key masks.
    pub key_info: u32,
    /// The binding.
    pub report_data: [u8; 64],
    /// What was launched.
    pub measurement: Measurement,
    /// Given by the host at launch.
    pub host_data: [u8; 32],
    /// Key that signed the id block.
    pub id_key_digest: [u8; 48],
    /// Key that signed that key.
    pub author_key_digest: [u8; 48],
    /// One life of one guest.
    pub report_id: [u8; 32],
    /// The guest's migration agent; all ones without one.
    pub report_id_ma: [u8; 32],
    /// Firmware that the signing key was derived from.
    pub reported_tcb: [u8; 8],
    /// Family, model, stepping; zero before version 3.
    pub cpuid: [u8; 3],
    /// The chip, or zero if masked.
    pub chip_id: [u8; 64],
    /// Firmware below which the platform cannot go back.
    pub committed_tcb: [u8; 8],
    /// Build that runs.
    pub current: Firmware,
    /// Build that is committed.
    pub committed: Firmware,
    /// Firmware at launch.
    pub launch_tcb: [u8; 8],
    /// Mitigations at launch; version 5.
    pub launch_mitigations: u64,
    /// Mitigations now; version 5.
    pub current_mitigations: u64,
}

/// The launch policy's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Highest bit with a meaning.
    pub const LAST_BIT: u32 = 25;

    /// Whether bit `number` is set.
    pub const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The least firmware API that the guest accepts, (major, minor).
    pub const fn min_abi(self) -> (u8, u8) {
        let [minor, major, ..] = self.0.to_le_bytes();
        (major, minor)
    }
}

/// Reads front to back; `None` at the end of the bytes.
struct Reader<'a> {
    rest: &'a [u8],
    reserved_clean: bool,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn reserved<const N: usize>(&mut self) -> Option<()> {
        let bytes = self.bytes::<N>()?;
        self.reserved_clean &= bytes == [0; N];
        Some(())
    }

    fn firmware(&mut self) -> Option<Firmware> {
        let [build, minor, major] = self.bytes()?;
        self.reserved::<1>()?;
        Some(Firmware {
            build,
            minor,
            major,
        })
    }
}

/// A report with what surrounds its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedReport<'a> {
    /// The bytes that the signature covers, as they came.
    pub signed: &'a [u8],
    /// The fields.
    pub report: Report,
    /// Whether every reserved byte and bit of this version is zero.
    pub reserved_clean: bool,
    /// Whether the bytes around the two signature numbers are zero.
    pub padding_clean: bool,
    /// The signature, r ‖ s, big-endian, 48 bytes each.
    pub signature: [u8; 96],
    /// SHA-256 of the signed bytes: an identity, as the signature has several valid forms.
    pub body_digest: Digest,
}

impl<'a> ParsedReport<'a> {
    /// Reads exactly [`REPORT_LEN`] bytes.
    pub fn parse(raw: &'a [u8]) -> Result<Self, WrongSize> {
        let wrong = WrongSize(raw.len());
        if raw.len() != REPORT_LEN {
            return Err(wrong);
        }
        let (signed, signature) = raw.split_at_checked(SIGNED_LEN).ok_or(wrong)?;
        let (report, reserved_clean) = read_signed(signed).ok_or(wrong)?;
        let (signature, padding_clean) = read_signature(signature).ok_or(wrong)?;
        Ok(Self {
            signed,
            report,
            reserved_clean,
            padding_clean,
            signature,
            body_digest: Digest::of(signed),
        })
    }
}

fn read_signed(signed: &[u8]) -> Option<(Report, bool)> {
    let r = &mut Reader {
        rest: signed,
        reserved_clean: true,
    };
    let version = r.u32()?;
    let guest_svn = r.u32()?;
    let policy = GuestPolicy(r.u64()?);
    let family_id = r.bytes()?;
    let image_id = r.bytes()?;
    let vmpl = r.u32()?;
    let sig_algo = r.u32()?;
    let current_tcb = r.bytes()?;
    let platform_info = r.u64()?;
    let key_info = r.u32()?;
    r.reserved_clean &= key_info >> 5 == 0;
    r.reserved::<4>()?;
    let report_data = r.bytes()?;
    let measurement = Measurement::from_bytes(r.bytes()?);
    let host_data = r.bytes()?;
    let id_key_digest = r.bytes()?;
    let author_key_digest = r.bytes()?;
    let report_id = r.bytes()?;
    let report_id_ma = r.bytes()?;
    let reported_tcb = r.bytes()?;
    let cpuid = r.bytes()?;
    r.reserved_clean &= version >= 3 || cpuid == [0; 3];
    r.reserved::<21>()?;
    let chip_id = r.bytes()?;
    let committed_tcb = r.bytes()?;
    let current = r.firmware()?;
    let committed = r.firmware()?;
    let launch_tcb = r.bytes()?;
    let launch_mitigations = r.u64()?;
    let current_mitigations = r.u64()?;
    r.reserved_clean &= version >= 5 || (launch_mitigations == 0 && current_mitigations == 0);
    r.reserved::<152>()?;
    let report = Report {
        version,
        guest_svn,
        policy,
        family_id,
        image_id,
        vmpl,
        sig_algo,
        current_tcb,
        platform_info,
        key_info,
        report_data,
        measurement,
        host_data,
        id_key_digest,
        author_key_digest,
        report_id,
        report_id_ma,
        reported_tcb,
        cpuid,
        chip_id,
        committed_tcb,
        current,
        committed,
        launch_tcb,
        launch_mitigations,
        current_mitigations,
    };
    r.rest.is_empty().then_some((report, r.reserved_clean))
}

/// r and s from little-endian fields to the big-endian form that verifiers take.
fn read_signature(bytes: &[u8]) -> Option<([u8; 96], bool)> {
    let (r, rest) = bytes.split_first_chunk::<SCALAR_FIELD>()?;
    let (s, rest) = rest.split_first_chunk::<SCALAR_FIELD>()?;
    let mut clean = rest.iter().all(|byte| *byte == 0);
    let mut fixed = [0; 96];
    for (scalar, out) in [r, s].into_iter().zip(fixed.chunks_exact_mut(SCALAR)) {
        let (number, padding) = scalar.split_first_chunk::<SCALAR>()?;
        clean &= padding.iter().all(|byte| *byte == 0);
        for (to, from) in out.iter_mut().zip(number.iter().rev()) {
            *to = *from;
        }
    }
    Some((fixed, clean))
}

impl Report {
    /// The kind of key that signed it.
    pub const fn signing_key(&self) -> SigningKey {
        let [low, ..] = self.key_info.to_le_bytes();
        match low >> 2 & 7 {
            0 => SigningKey::Vcek,
            1 => SigningKey::Vlek,
            other => SigningKey::Other(other),
        }
    }

    /// Whether the platform was told to hide its chip key.
    pub const fn chip_key_masked(&self) -> bool {
        self.key_info & 2 != 0
    }

    /// Whether it holds the digest of a key that signed the id block's key.
    pub const fn author_key_enabled(&self) -> bool {
        self.key_info & 1 != 0
    }

    /// From family and model; `None` before version 3 and for unknown processors.
    pub const fn generation(&self) -> Option<Generation> {
        let [family, model, _] = self.cpuid;
        Generation::of_cpu(family, model)
    }
}

#[cfg(any(test, feature = "simulator"))]
pub(crate) mod write {
    //! The other direction, for the simulated platform.

    use super::{Firmware, REPORT_LEN, Report, SCALAR, SCALAR_FIELD, SIGNED_LEN};

    impl Report {
        /// The [`SIGNED_LEN`] bytes that get signed.
        pub(crate) fn encode(&self) -> Vec<u8> {
            let mut out = Vec::with_capacity(REPORT_LEN);
            let firmware = |f: Firmware| [f.build, f.minor, f.major, 0];
            out.extend(self.version.to_le_bytes());
            out.extend(self.guest_svn.to_le_bytes());
            out.extend(self.policy.0.to_le_bytes());
            out.extend(self.family_id);
            out.extend(self.image_id);
            out.extend(self.vmpl.to_le_bytes());
            out.extend(self.sig_algo.to_le_bytes());
            out.extend(self.current_tcb);
            out.extend(self.platform_info.to_le_bytes());
            out.extend(self.key_info.to_le_bytes());
            out.extend([0; 4]);
            out.extend(self.report_data);
            out.extend(self.measurement.as_bytes());
            out.extend(self.host_data);
            out.extend(self.id_key_digest);
            out.extend(self.author_key_digest);
            out.extend(self.report_id);
            out.extend(self.report_id_ma);
            out.extend(self.reported_tcb);
            out.extend(self.cpuid);
            out.extend([0; 21]);
            out.extend(self.chip_id);
            out.extend(self.committed_tcb);
            out.extend(firmware(self.current));
            out.extend(firmware(self.committed));
            out.extend(self.launch_tcb);
            out.extend(self.launch_mitigations.to_le_bytes());
            out.extend(self.current_mitigations.to_le_bytes());
            out.resize(SIGNED_LEN, 0);
            out
        }
    }

    /// Appends a signature (r ‖ s, big-endian) in the report's form and pads to the full length.
    pub(crate) fn append_signature(signed: &mut Vec<u8>, fixed: &[u8]) {
        for scalar in fixed.chunks(SCALAR) {
            signed.extend(scalar.iter().rev());
            signed.extend([0; SCALAR_FIELD - SCALAR]);
        }
        signed.resize(REPORT_LEN, 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_length() {
        for len in [0, 1, SIGNED_LEN, REPORT_LEN - 1, REPORT_LEN + 1] {
            assert_eq!(ParsedReport::parse(&vec![0; len]), Err(WrongSize(len)));
        }
        assert!(ParsedReport::parse(&[0; REPORT_LEN]).is_ok());
    }

    #[test]
    fn fields_are_where_the_specification_has_them() {
        let mut raw = [0; REPORT_LEN];
        raw[0x00] = 3;
        raw[0x30] = 2;
        raw[0x34] = 1;
        raw[0x48] = 0b0001_1100;
        raw[0x50] = 0xaa;
        raw[0x90] = 0xbb;
        raw[0x140] = 0xcc;
        raw[0x180] = 0xdd;
        raw[0x188] = 0x19;
        raw[0x1a0] = 0xee;
        raw[0x1e0] = 0xff;
        raw[0x1ea] = 1;
        raw[0x1f0] = 0x11;
        raw[0x2a0] = 0x22;
        raw[0x2e8] = 0x33;
        let parsed = ParsedReport::parse(&raw).unwrap();
        let report = &parsed.report;
        assert_eq!((report.version, report.vmpl, report.sig_algo), (3, 2, 1));
        assert_eq!(report.signing_key(), SigningKey::Other(7));
        assert_eq!(report.report_data[0], 0xaa);
        assert_eq!(report.measurement.as_bytes()[0], 0xbb);
        assert_eq!(report.report_id[0], 0xcc);
        assert_eq!(report.reported_tcb[0], 0xdd);
        assert_eq!(report.cpuid[0], 0x19);
        assert_eq!(report.chip_id[0], 0xee);
        assert_eq!(report.committed_tcb[0], 0xff);
        assert_eq!(report.current.major, 1);
        assert_eq!(report.launch_tcb[0], 0x11);
        assert_eq!((parsed.signature[47], parsed.signature[95]), (0x22, 0x33));
        assert!(parsed.reserved_clean && parsed.padding_clean);
    }

    #[test]
    fn reserved_and_padding_bytes_are_seen() {
        let reserved = [0x4c, 0x18b, 0x19f, 0x1eb, 0x1ef, 0x1f8, 0x207, 0x208, 0x29f];
        for at in reserved {
            let mut raw = [0; REPORT_LEN];
            raw[0] = 3;
            raw[at] = 1;
            assert!(
                !ParsedReport::parse(&raw).unwrap().reserved_clean,
                "{at:#x}"
            );
        }
        for at in [0x2d0, 0x2e7, 0x318, 0x32f, 0x330, 0x49f] {
            let mut raw = [0; REPORT_LEN];
            raw[at] = 1;
            assert!(!ParsedReport::parse(&raw).unwrap().padding_clean, "{at:#x}");
        }
    }

    proptest! {
        #[test]
        fn writing_is_the_inverse_of_reading(
            signed in proptest::collection::vec(any::<u8>(), SIGNED_LEN),
            signature in proptest::collection::vec(any::<u8>(), 96),
        ) {
            let mut raw = signed;
            write::append_signature(&mut raw, &signature);
            let parsed = ParsedReport::parse(&raw).unwrap();
            prop_assert_eq!(&parsed.signature[..], &signature[..]);
            let mut again = parsed.report.encode();
            write::append_signature(&mut again, &parsed.signature);
            let reread = ParsedReport::parse(&again).unwrap();
            prop_assert_eq!(reread.report, parsed.report);
        }
    }
}
