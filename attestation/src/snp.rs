//! What AMD SEV-SNP platforms say, as types: reports, firmware versions, certificates.
//!
//! Parsing only; what is acceptable is said in [`crate::policy`] and judged in
//! [`mod@crate::appraise`].

pub mod certificate;
pub mod crl;
pub mod firmware;
pub mod generation;
pub mod report;
mod signature_cache;
pub(crate) mod signed;
pub mod tcb;
pub mod vek;

pub use generation::Generation;
pub use report::Report;
pub use signature_cache::SignatureCache;
pub use tcb::Tcb;
