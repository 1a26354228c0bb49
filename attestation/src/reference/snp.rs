//! The launch digest of an SEV-SNP guest (SEV-SNP Firmware ABI, `SNP_LAUNCH_UPDATE`), computed by
//! the crate `sev`.
//!
//! The initial register state of every vCPU is measured, so the number of vCPUs and the CPU type
//! that the guest sees are part of the digest: one release has a table of them.
//!
//! Guests of QEMU only. For Amazon EC2 the crate and `sev-snp-measure` 0.0.13 differ in the register
//! that a vCPU starts with, and for libkrun the crate drops what it has just set: with nothing to
//! check against, neither is offered.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

use sev::measurement::snp::{SnpMeasurementArgs, calc_snp_ovmf_hash, snp_calc_launch_digest};
use sev::measurement::vmsa::{GuestFeatures, VMMType};
use sev::parser::ByteParser as _;

use super::direct_boot::check_command_line;
use super::ovmf::{MAX_IMAGE, Ovmf};
use super::{ReferenceError, direct_boot};
use crate::measurement::Measurement;

/// The most vCPUs of a guest: what KVM can give.
pub const MAX_VCPUS: u32 = 4096;
/// The most values of one table.
pub const MAX_ROWS: usize = 1024;
/// Bit 0 of the guest features: the guest runs under SEV-SNP.
const SNP_ACTIVE: u64 = 1;

/// A CPU type as QEMU names it, such as `EPYC-v4`. Only its family, model and stepping are
/// measured: the versions of one type share a digest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuType(sev::measurement::vcpu_types::CpuType);

impl std::fmt::Display for CpuType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CpuType {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        text.try_into()
            .map(Self)
            .map_err(|_| ReferenceError::CpuType(text.to_owned()))
    }
}

/// What QEMU launches a guest from. The files must not change while they are measured.
#[derive(Clone, Copy, Debug)]
pub struct SnpLaunch<'a> {
    /// The firmware image, at most 16 MiB.
    pub ovmf: &'a Path,
    /// The digest of a whole image, where `ovmf` is only the end of it that holds its tables: takes
    /// the place of hashing `ovmf`.
    pub ovmf_hash: Option<Measurement>,
    /// Loaded by the machine monitor and measured through a page of hashes; only with firmware
    /// that has such a page.
    pub kernel: Option<SnpKernel<'a>>,
    /// `SEV_FEATURES` of the initial register state. Linux sets bit 0 (SNPActive); some versions
    /// of KVM set bit 5 (DebugSwap) too.
    pub guest_features: u64,
}

/// What QEMU gets as `-kernel`, `-initrd` and `-append`.
#[derive(Clone, Copy, Debug)]
pub struct SnpKernel<'a> {
    /// The kernel, at most [`direct_boot::MAX_KERNEL`] bytes.
    pub image: &'a Path,
    /// The initial RAM disk, at most [`direct_boot::MAX_INITRD`] bytes.
    pub initrd: Option<&'a Path>,
    /// The command line; may be empty.
    pub append: &'a str,
}

/// One guest of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnpRow {
    /// How many vCPUs it has.
    pub vcpus: u32,
    /// What they look like.
    pub cpu: CpuType,
    /// Its launch digest.
    pub measurement: Measurement,
}

/// The launch digests of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct SnpTable {
    /// Digest of the firmware pages alone.
    pub ovmf_hash: Measurement,
    /// One per vCPU count and CPU type, in the order asked for.
    pub rows: Vec<SnpRow>,
}

impl SnpLaunch<'_> {
    /// The digest for every one of `vcpus` with every one of `cpus`.
    pub fn table(&self, vcpus: &[u32], cpus: &[CpuType]) -> Result<SnpTable, ReferenceError> {
        let rows = vcpus.len().saturating_mul(cpus.len());
        if !(1..=MAX_ROWS).contains(&rows) {
            return Err(ReferenceError::Rows(rows));
        }
        if let Some(wrong) = vcpus.iter().find(|vcpus| !(1..=MAX_VCPUS).contains(*vcpus)) {
            return Err(ReferenceError::Vcpus(*wrong));
        }
        if self.guest_features & SNP_ACTIVE == 0 {
            return Err(ReferenceError::GuestFeatures(self.guest_features));
        }
        let ovmf = Ovmf::parse(&read_capped(self.ovmf, MAX_IMAGE)?)?;
        if let Some(kernel) = &self.kernel {
            if !ovmf.kernel_hashes {
                return Err(ReferenceError::NoKernelHashes);
            }
            // The crate drops spaces at the ends, QEMU hashes them: such lines are refused.
            check_command_line(kernel.append)?;
            check_size(kernel.image, direct_boot::MAX_KERNEL)?;
            if let Some(initrd) = kernel.initrd {
                check_size(initrd, direct_boot::MAX_INITRD)?;
            }
        }
        let ovmf_hash = match self.ovmf_hash {
            Some(hash) => hash,
            None => measurement(calc_snp_ovmf_hash(self.ovmf.to_owned()))?,
        };
        let mut table = Vec::with_capacity(rows);
        for &vcpus in vcpus {
            for &cpu in cpus {
                let measurement = self.row(vcpus, cpu, &ovmf_hash.to_string())?;
                table.push(SnpRow {
                    vcpus,
                    cpu,
                    measurement,
                });
            }
        }
        Ok(SnpTable {
            ovmf_hash,
            rows: table,
        })
    }

    fn row(
        &self,
        vcpus: u32,
        cpu: CpuType,
        ovmf_hash: &str,
    ) -> Result<Measurement, ReferenceError> {
        let guest_features = GuestFeatures::from_bytes(&self.guest_features.to_le_bytes())
            .map_err(|error| ReferenceError::Sev(error.to_string()))?;
        measurement(snp_calc_launch_digest(SnpMeasurementArgs {
            vcpus,
            vcpu_type: cpu.0,
            ovmf_file: self.ovmf.to_owned(),
            guest_features,
            kernel_file: self.kernel.map(|kernel| kernel.image.to_owned()),
            initrd_file: self
                .kernel
                .and_then(|kernel| kernel.initrd.map(Path::to_owned)),
            append: self.kernel.map(|kernel| kernel.append),
            ovmf_hash_str: Some(ovmf_hash),
            vmm_type: Some(VMMType::QEMU),
        }))
    }
}

impl SnpTable {
    /// The `measurements` of a policy: each digest once, with a comment that says whose it is.
    pub fn fragment(&self) -> String {
        let mut groups: Vec<(Measurement, Vec<String>)> = Vec::new();
        for row in &self.rows {
            let plural = if row.vcpus == 1 { "" } else { "s" };
            let whose = format!("{} vCPU{plural} {}", row.vcpus, row.cpu);
            match groups.iter_mut().find(|(one, _)| *one == row.measurement) {
                Some((_, all)) => all.push(whose),
                None => groups.push((row.measurement, vec![whose])),
            }
        }
        let mut text = String::from("measurements = [\n");
        for (measurement, whose) in groups {
            // Into a string: cannot fail.
            let _ = writeln!(text, "    # {}\n    \"{measurement}\",", whose.join(", "));
        }
        text.push_str("]\n");
        text
    }
}

fn measurement(
    result: Result<sev::measurement::snp::SnpLaunchDigest, sev::error::MeasurementError>,
) -> Result<Measurement, ReferenceError> {
    result
        .map_err(|error| error.to_string())
        .and_then(|digest| {
            digest
                .get_hex_ld()
                .parse()
                .map_err(|_| "not a digest".into())
        })
        .map_err(ReferenceError::Sev)
}

/// The bytes of a regular file of 1 to `cap` bytes.
fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, ReferenceError> {
    check_size(path, cap)?;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(cap).read_to_end(&mut bytes))
        .map_err(|source| unreadable(path, source))?;
    Ok(bytes)
}

fn check_size(path: &Path, cap: u64) -> Result<(), ReferenceError> {
    let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
    let len = metadata.is_file().then_some(metadata.len());
    if len.is_some_and(|len| (1..=cap).contains(&len)) {
        return Ok(());
    }
    Err(ReferenceError::Size {
        path: path.to_owned(),
        cap,
        len,
    })
}

fn unreadable(path: &Path, source: std::io::Error) -> ReferenceError {
    ReferenceError::File {
        path: path.to_owned(),
        source,
    }
}
