//! Reference values: what an honest launch of a release measures, for the policies that take it.
//!
//! * [`snp`]: the launch digest of an SEV-SNP guest, computed from firmware, kernel, initial RAM
//!   disk and command line, one per vCPU count and CPU type
//! * [`golden_quote`]: the registers of a TDX guest that was launched once on a machine that its
//!   operator trusts
//! * [`direct_boot`] and [`register`]: RTMR1 and RTMR2 of a TDX guest whose kernel QEMU hands
//!   over, and RTMR3 from a runtime log, computed
//!
//! Whoever publishes a release computes these; nothing here runs in an appraisal.

pub mod direct_boot;
mod error;
pub mod golden_quote;
mod kernel_header;
mod ovmf;
mod pe_image;
pub mod register;
pub mod snp;

pub use error::ReferenceError;

#[cfg(test)]
mod fuzzing;
#[cfg(test)]
mod known_answers;

/// The `N` bytes at `at`, if they are there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes
        .get(at..at.checked_add(N)?)
        .and_then(|bytes| bytes.try_into().ok())
}
