//! The registers of a TDX guest, read from a quote of it.
//!
//! A golden quote is of a guest that the operator launched on a machine that it trusts, from the
//! files of the release. Its signature is not checked here: whoever takes values from it says so.

use dcap_qvl::quote::Quote;

use super::direct_boot::BootRegisters;
use super::{ReferenceError, field};
use crate::measurement::Measurement;

/// Bytes of a quote. Real ones: 5 to 8 KiB.
pub const MAX_QUOTE: usize = 16 << 10;
/// Bit 0 of the attributes: the host can look into the guest.
const DEBUG: u8 = 0x01;

/// What a quote says of its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoldenQuote {
    /// The firmware and its first memory.
    pub mrtd: Measurement,
    /// Platform configuration, boot, operating system, runtime.
    pub rtmr: [Measurement; 4],
    /// Chosen by who launched: the guest's configuration.
    pub mr_config_id: Measurement,
    /// Chosen by who launched: the guest's owner.
    pub mr_owner: Measurement,
    /// Chosen by who launched: the owner's configuration.
    pub mr_owner_config: Measurement,
    /// The TDX module.
    pub mr_seam: Measurement,
    /// `TD_ATTRIBUTES`.
    pub attributes: [u8; 8],
    /// Processor features that the guest may use.
    pub xfam: [u8; 8],
}

impl GoldenQuote {
    /// Reads a raw quote. Refused: anything but zeros behind it, and guests that can be debugged,
    /// whose registers prove nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReferenceError> {
        let bad = ReferenceError::Quote;
        if bytes.len() > MAX_QUOTE {
            return Err(bad("too long"));
        }
        let quote = Quote::parse(bytes).map_err(|_| bad("it does not parse"))?;
        let report = quote.report.as_td10().ok_or(bad("it is of SGX"))?;
        // A length, and the signature that is so long.
        let end = field(bytes, quote.signed_length())
            .and_then(|len| usize::try_from(u32::from_le_bytes(len)).ok())
            .and_then(|len| len.checked_add(quote.signed_length() + 4));
        let padding = end.and_then(|end| bytes.get(end..));
        if padding.is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
            return Err(bad("something follows it"));
        }
        if report
            .td_attributes
            .first()
            .is_none_or(|bits| bits & DEBUG != 0)
        {
            return Err(bad("its guest can be debugged"));
        }
        let of = Measurement::from_bytes;
        Ok(Self {
            mrtd: of(report.mr_td),
            rtmr: [report.rt_mr0, report.rt_mr1, report.rt_mr2, report.rt_mr3].map(of),
            mr_config_id: of(report.mr_config_id),
            mr_owner: of(report.mr_owner),
            mr_owner_config: of(report.mr_owner_config),
            mr_seam: of(report.mr_seam),
            attributes: report.td_attributes,
            xfam: report.xfam,
        })
    }

    /// Whether the quoted guest was started from what `computed` was computed from.
    pub fn confirm(&self, computed: &BootRegisters) -> Result<(), ReferenceError> {
        let [_, rtmr1, rtmr2, _] = self.rtmr;
        same("rtmr1", computed.rtmr1, rtmr1)?;
        same("rtmr2", computed.rtmr2, rtmr2)
    }

    /// Whether the quoted guest has extended RTMR3 as `computed` was.
    pub fn confirm_rtmr3(&self, computed: Measurement) -> Result<(), ReferenceError> {
        let [_, _, _, rtmr3] = self.rtmr;
        same("rtmr3", computed, rtmr3)
    }

    /// An entry of a policy's `images`. Refused if one of the registers of the boot is zero: such a
    /// value does not tell one guest from another.
    pub fn fragment(&self) -> Result<String, ReferenceError> {
        let [rtmr0, rtmr1, rtmr2, rtmr3] = self.rtmr;
        let mut entry = Vec::new();
        for (name, value) in [
            ("mrtd", self.mrtd),
            ("rtmr0", rtmr0),
            ("rtmr1", rtmr1),
            ("rtmr2", rtmr2),
        ] {
            if value.as_bytes() == &[0; 48] {
                return Err(ReferenceError::NothingMeasured(name));
            }
            entry.push(format!("{name} = \"{value}\""));
        }
        // The runtime's own register may be unused.
        entry.push(if rtmr3.as_bytes() == &[0; 48] {
            "rtmr3 = \"zero\"".to_owned()
        } else {
            format!("rtmr3 = \"{rtmr3}\"")
        });
        Ok(format!("{{ {} }}", entry.join(", ")))
    }
}

fn same(
    register: &'static str,
    computed: Measurement,
    quoted: Measurement,
) -> Result<(), ReferenceError> {
    if quoted.is_one_of([computed].iter()) {
        return Ok(());
    }
    Err(ReferenceError::Differs {
        register,
        computed,
        quoted,
    })
}
