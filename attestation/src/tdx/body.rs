//! What the TDX module says of a guest: `TDREPORT` fields as quotes carry them.

use super::attributes::{Attributes, Xfam};
use crate::measurement::Measurement;

/// The guest's report, in the order of its bytes. None of it judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdBody {
    /// Security versions of the TDX module and what it stands on, at launch.
    pub tee_tcb_svn: [u8; 16],
    /// Which TDX module.
    pub mr_seam: Measurement,
    /// Who signed the TDX module; zero for Intel.
    pub mr_signer_seam: Measurement,
    /// Switches of the TDX module.
    pub seam_attributes: [u8; 8],
    /// Switches of the guest.
    pub attributes: Attributes,
    /// Processor state that the guest may use.
    pub xfam: Xfam,
    /// What was launched.
    pub mrtd: Measurement,
    /// Chosen by the host at launch.
    pub mr_config_id: Measurement,
    /// Chosen by the host at launch.
    pub mr_owner: Measurement,
    /// Chosen by the host at launch.
    pub mr_owner_config: Measurement,
    /// What was measured since.
    pub rtmrs: [Measurement; 4],
    /// The binding.
    pub report_data: [u8; 64],
    /// From TDX 1.5 on.
    pub td15: Option<Td15>,
}

/// What TDX 1.5 adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td15 {
    /// Security versions now: the TDX module can be updated under a running guest.
    pub tee_tcb_svn2: [u8; 16],
    /// Guests that serve this one, such as for migration, at its creation; zero for none.
    pub mr_service_td: Measurement,
    /// The extended form.
    pub ex: Option<Td15Ex>,
}

/// What the extended form of TDX 1.5 adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td15Ex {
    /// Which partition of the guest asked; 0 if it has none.
    pub vmid: u8,
    /// One life of one guest.
    pub td_id: [u8; 32],
    /// SHA-384 over what is said of its devices.
    pub dev_info: Measurement,
    /// Service guests at creation.
    pub init_service_td: Measurement,
    /// Service guests now.
    pub cur_service_td: Measurement,
}

impl TdBody {
    /// Kind of a TDX 1.0 body.
    pub const TD10: u16 = 2;
    /// Kind of a TDX 1.5 body.
    pub const TD15: u16 = 3;
    /// Kind of an extended TDX 1.5 body.
    pub const TD15_EX: u16 = 4;

    /// Bytes of a body of this kind.
    pub(crate) const fn len(kind: u16) -> Option<usize> {
        match kind {
            Self::TD10 => Some(584),
            Self::TD15 => Some(648),
            Self::TD15_EX => Some(885),
            _ => None,
        }
    }

    /// Reads all of `bytes`.
    pub(crate) fn read(kind: u16, bytes: &[u8]) -> Option<Self> {
        let r = &mut Reader(bytes);
        let mut body = Self {
            tee_tcb_svn: r.array()?,
            mr_seam: r.measurement()?,
            mr_signer_seam: r.measurement()?,
            seam_attributes: r.array()?,
            attributes: Attributes(u64::from_le_bytes(r.array()?)),
            xfam: Xfam(u64::from_le_bytes(r.array()?)),
            mrtd: r.measurement()?,
            mr_config_id: r.measurement()?,
            mr_owner: r.measurement()?,
            mr_owner_config: r.measurement()?,
            rtmrs: [
                r.measurement()?,
                r.measurement()?,
                r.measurement()?,
                r.measurement()?,
            ],
            report_data: r.array()?,
            td15: None,
        };
        if kind != Self::TD10 {
            body.td15 = Some(Td15 {
                tee_tcb_svn2: r.array()?,
                mr_service_td: r.measurement()?,
                ex: None,
            });
        }
        if let (Self::TD15_EX, Some(td15)) = (kind, &mut body.td15) {
            td15.ex = Some(td15_ex(r)?);
        }
        r.0.is_empty().then_some(body)
    }
}

fn td15_ex(r: &mut Reader<'_>) -> Option<Td15Ex> {
    let vmid = r.array::<1>()?;
    let td_id = r.array()?;
    let dev_info = r.measurement()?;
    let init_service_td = r.measurement()?;
    // Attributes of the service guest at creation, then the platform that the guest began on:
    // processor, TDX module, model.
    r.array::<{ 8 + 16 + 16 + 12 }>()?;
    let cur_service_td = r.measurement()?;
    // Attributes of the service guest now.
    r.array::<8>()?;
    Some(Td15Ex {
        vmid: u8::from_le_bytes(vmid),
        td_id,
        dev_info,
        init_service_td,
        cur_service_td,
    })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn measurement(&mut self) -> Option<Measurement> {
        self.array().map(Measurement::from_bytes)
    }
}
