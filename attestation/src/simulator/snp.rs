//! A simulated SEV-SNP platform.

mod certificates;
mod files;

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::EcdsaKeyPair;
use duckblind_protocol::ids::{Digest, random_bytes};
use duckblind_protocol::key_statement::Tee;

pub(crate) use certificates::{Authority, Chip};
#[cfg(test)]
pub(crate) use certificates::{CloudAuthority, chip_extensions};
pub(super) use files::{create, root};

use super::SimulatorError;
use crate::attester::{AttestError, Attester, RawEvidence};
use crate::evidence::Endorsements;
use crate::measurement::Measurement;
use crate::snp::report::{ECDSA_P384_SHA384, Firmware, GuestPolicy, Report, write};
use crate::snp::{Generation, Tcb};

/// The simulated chip's generation.
pub(crate) const GENERATION: Generation = Generation::Genoa;
/// Firmware of the simulated chip.
pub(crate) const TCB: Tcb = Tcb {
    fmc: None,
    bootloader: 10,
    tee: 0,
    snp: 23,
    microcode: 84,
};
/// SMT allowed, and the bit that is always set.
const GUEST_POLICY: GuestPolicy = GuestPolicy(0x3_0000);
/// SMT on, ECC on, memory aliases checked.
const PLATFORM_INFO: u64 = 0x25;
/// `key_info` of reports that the chip's own key signs, and of those that a cloud's key signs.
const SIGNED_BY_VCEK: u32 = 0;
#[cfg(test)]
const SIGNED_BY_VLEK: u32 = 1 << 2;
/// Family, model and stepping of a Genoa part.
const CPUID: [u8; 3] = [0x19, 0x11, 0x01];

/// Mitigations that the simulated firmware knows, at launch and ever since.
const MITIGATIONS: u64 = 0x3;

/// Layouts of reports that the simulated firmware can write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportVersion {
    /// With family and model of the processor.
    #[default]
    V3,
    /// With the mitigations at launch and now.
    V5,
}

/// The platform as a guest sees it.
pub struct SimulatedSnp {
    endorsements: Endorsements,
    key: EcdsaKeyPair,
    signer: Signer,
    version: ReportVersion,
    measurement: Measurement,
    report_id: [u8; 32],
}

/// What the certificate of the signing key names.
#[derive(Clone, Debug)]
enum Signer {
    /// A chip.
    Chip(Chip),
    /// A cloud: the chip stays unnamed.
    #[cfg(test)]
    Cloud(Tcb),
}

impl SimulatedSnp {
    /// The platform that [`create`](super::create) made in `dir`. Measures the running program.
    pub fn open(dir: &Path) -> Result<Self, SimulatorError> {
        let platform = files::load(dir)?;
        Self::boot(platform, super::measure_self()?)
    }

    fn boot(platform: files::Platform, measurement: Measurement) -> Result<Self, SimulatorError> {
        let mut report_id = [0; 32];
        random_bytes(&mut report_id)?;
        Ok(Self {
            endorsements: platform.endorsements,
            key: platform.key,
            signer: platform.signer,
            version: ReportVersion::default(),
            measurement,
            report_id,
        })
    }

    /// A platform that is nowhere on disk.
    #[cfg(test)]
    pub(crate) fn made_by(
        authority: &Authority,
        chip: Chip,
        extensions: Vec<x509_cert::ext::Extension>,
        measurement: Measurement,
    ) -> Result<Self, SimulatorError> {
        let platform = files::in_memory(authority, chip, extensions)?;
        Self::boot(platform, measurement)
    }

    /// The same platform as a cloud runs it: with a key that AMD gave to the cloud.
    #[cfg(test)]
    pub(crate) fn made_by_cloud(
        authority: &Authority,
        cloud: &CloudAuthority,
        csp_id: &str,
        measurement: Measurement,
    ) -> Result<Self, SimulatorError> {
        let platform = files::in_memory_of_cloud(authority, cloud, csp_id)?;
        Self::boot(platform, measurement)
    }

    /// The same, with reports of `version`.
    #[must_use]
    pub const fn with(mut self, version: ReportVersion) -> Self {
        self.version = version;
        self
    }

    /// The report that an honest platform would give.
    pub(crate) fn report(&self, report_data: &[u8; 64]) -> Report {
        let (key_info, tcb, chip_id) = match &self.signer {
            Signer::Chip(chip) => (SIGNED_BY_VCEK, chip.tcb.encode(), chip.id),
            #[cfg(test)]
            Signer::Cloud(tcb) => (SIGNED_BY_VLEK, tcb.encode(), [0; 64]),
        };
        let (version, mitigations) = match self.version {
            ReportVersion::V3 => (3, 0),
            ReportVersion::V5 => (5, MITIGATIONS),
        };
        let firmware = Firmware {
            build: 1,
            minor: 55,
            major: 1,
        };
        Report {
            version,
            guest_svn: 0,
            policy: GUEST_POLICY,
            family_id: [0; 16],
            image_id: [0; 16],
            vmpl: 0,
            sig_algo: ECDSA_P384_SHA384,
            current_tcb: tcb,
            platform_info: PLATFORM_INFO,
            key_info,
            report_data: *report_data,
            measurement: self.measurement,
            host_data: [0; 32],
            id_key_digest: [0; 48],
            author_key_digest: [0; 48],
            report_id: self.report_id,
            report_id_ma: [0xff; 32],
            reported_tcb: tcb,
            cpuid: CPUID,
            chip_id,
            committed_tcb: tcb,
            current: firmware,
            committed: firmware,
            launch_tcb: tcb,
            launch_mitigations: mitigations,
            current_mitigations: mitigations,
        }
    }

    /// Signs `signed` as it is, whatever it says.
    pub(crate) fn sign(&self, mut signed: Vec<u8>) -> Result<RawEvidence, AttestError> {
        let signature = self
            .key
            .sign(&SystemRandom::new(), &signed)
            .map_err(|_| duckblind_protocol::ids::RandomError)?;
        write::append_signature(&mut signed, signature.as_ref());
        Ok(RawEvidence {
            report: signed,
            endorsements: self.endorsements.clone(),
            event_log: None,
        })
    }

    /// SHA-256 of its root certificate.
    pub fn root(&self) -> Digest {
        Digest::of(self.endorsements.ark.as_deref().unwrap_or_default())
    }

    /// What it measured.
    pub const fn measurement(&self) -> Measurement {
        self.measurement
    }
}

impl Attester for SimulatedSnp {
    fn tee(&self) -> Tee {
        Tee::SevSnp
    }

    fn attest(&self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError> {
        self.sign(self.report(report_data).encode())
    }
}

impl std::fmt::Debug for SimulatedSnp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedSnp")
            .field("root", &self.root())
            .field("measurement", &self.measurement)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
